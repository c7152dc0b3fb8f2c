"""The task 'merge': an adapter becomes part of its base's weights, and a check decides.

The weights are merged in fp32 into the base at full precision, even where the adapter was trained
over a quantized or bf16 base: merged into those, the scores would change. Imports torch: worker
processes only.
"""

import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.data.reader import DatasetReader
from workbench.errors import WorkbenchError
from workbench.jobs.files import write_made
from workbench.jobs.reporting import JobContext
from workbench.merging.probe import (
    Numbers,
    Probe,
    Versions,
    max_difference,
    measure_again,
    numbers,
    probe_from,
)
from workbench.models.assemble import keeping_of
from workbench.models.contract import Contract
from workbench.models.locate import LocalModel, locate
from workbench.models.precision import pick_device
from workbench.models.registry import from_job, new_model
from workbench.models.resolve import adapter_of
from workbench.recipes.merge import MergeRecipe
from workbench.takeaway.snippet import snippet
from workbench.training.loss import within_limit
from workbench.training.run import CONFIG, Outcome

if TYPE_CHECKING:
    from workbench.workspace import Workspace


# The README of a merged or blended model: what it is, and how to use it outside.

_PAGE = """\
---
library_name: sentence-transformers
{tags}
---

# {name}

{what}

```python
{use}
```

`contract.json` holds prompts and lengths for programs.
"""


def write_merged(folder: Path, name: str, base: str, adapter: str, contract: Contract) -> None:
    what = (
        f"The adapter `{adapter}` merged into its base model `{base}` at full precision (fp32). "
        "Checked after merging:\nit computes what the adapter computes on that base."
    )
    _write(folder, name, what, contract)


def write_blended(
    folder: Path, name: str, base: str, tuned: str, ratio: float, contract: Contract
) -> None:
    what = (
        f"Weights between two models: {ratio:g} of the fine-tuned `{tuned}` and {1 - ratio:g} of "
        f"its base `{base}`."
    )
    _write(folder, name, what, contract)


def _write(folder: Path, name: str, what: str, contract: Contract) -> None:
    page = _PAGE.format(tags=contract.model_kind.tags, name=name, what=what, use=snippet(contract))
    (folder / "README.md").write_text(page, encoding="utf-8")


# A merged or blended model as a folder, and as a model of the workspace. Workers only.

#: What a trained adapter's record says that stays true of the merged model.
_KEPT = (
    *("dataset", "dataset_version", "method", "metric", "steps", "best_step"),
    *("baseline", "baseline_name", "untrained", "decisions", "seeds"),
)


@dataclass(frozen=True, slots=True)
class About:
    """What is known of an adapter: its record, where the workspace has one."""

    name: str
    base: str
    adapter: LocalModel
    verdict: str = ""
    summary: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, workspace: "Workspace", adapter: LocalModel, name: str) -> "About":
        base = adapter.base.name if adapter.base else ""
        record = workspace.models.get(adapter.name) if adapter.model_id else None
        if record is None:
            return cls(name, base, adapter)
        return cls(name, base, adapter, record.verdict, dict(record.summary))

    @property
    def trained(self) -> dict[str, float]:
        """The dev values of the run's best checkpoint; empty where nothing was measured."""
        return dict(self.summary.get("best") or {})


def save(loaded: Any, trained: Contract, folder: Path, about: About) -> Contract:
    """Write a merged model that sentence-transformers alone loads; returns its contract."""
    contract = trained.model_copy(
        update={
            "quantization": "",
            "double_quantization": False,
            "compute_dtype": "",
            "dtype": "float32",
        }
    )
    write_model(loaded.model, contract, folder)
    write_merged(folder, about.name, about.base, about.adapter.name, contract)
    config = about.adapter.folder / CONFIG
    if config.is_file():
        shutil.copy2(config, folder / CONFIG)
    return contract


def write_model(model: Any, contract: Contract, folder: Path) -> None:
    """The model in sentence-transformers' format, with its contract, prompts and lengths."""
    if not contract.model_kind.reads_pairs:
        # For those who load the folder with sentence-transformers alone.
        model.prompts = {"query": contract.query_prompt, "document": contract.document_prompt}
        model.default_prompt_name = None
    model.max_seq_length = min(contract.longest, within_limit(model))
    model.eval()
    model.save_pretrained(str(folder), create_model_card=False)
    contract.write(folder)


def register(
    context: JobContext, id: str, contract: Contract, about: About, result: dict[str, Any]
) -> dict[str, Any]:
    """Put the folder models/<id>, which is complete, on record; the result with its name and id."""
    models = context.workspace.models
    # The name was free when the job was submitted; meanwhile somebody may have taken it.
    name = models.free_name(about.name or f"{about.adapter.name}-merged")
    summary = {key: about.summary[key] for key in _KEPT if key in about.summary}
    summary |= {"origin": "merged", "adapter": about.adapter.name}
    summary |= {key: result[key] for key in ("adapter_id", "parity", "drift", "metrics")}
    verdict = about.verdict
    if measured := result["metrics"]:
        summary["best"] = measured["merged"]
        summary["metric"] = measured["metric"]
        verdict = _verdict(summary, verdict)
    model = new_model(id, name, contract=contract.model_dump(mode="json"), summary=summary)
    result = {"model": model.name, "model_id": model.id, **result}
    write_made(context.folder, model.path, result)
    models.add(
        replace(from_job(model, context.job.id), base=about.base or model.base, verdict=verdict)
    )
    return result


def _verdict(summary: dict[str, Any], before: str) -> str:
    """What training's rule says of the merged model's own dev values."""
    baseline, untrained = summary.get("baseline"), summary.get("untrained")
    if not baseline:
        return before
    name = str(summary.get("baseline_name", ""))
    # A base of another kind was not measured.
    outcome = Outcome(summary["metric"], baseline, untrained or baseline, summary["best"], name)
    return outcome.verdict


#: How far the merged model may be from the adapter beside the same weights, in fp32.
ALLOWED = 1e-4
_STEPS = 5


class MergeFailed(WorkbenchError):
    """The merged model does not compute what the adapter on its base computes."""

    code = "merge-failed"


def run(recipe: MergeRecipe, context: JobContext) -> dict[str, Any]:
    """Merge, check, measure again, register. Nothing is kept where a step fails.

    Raises :class:`MergeFailed` where the merged model is further than :data:`ALLOWED` from the
    adapter on the full-precision base, and what an unusable model or a cancelled job raise.
    """
    adapter = locate(context.workspace, adapter_of(context.workspace, recipe.model))
    id, folder = context.workspace.models.new_folder()
    try:
        return _Merge(recipe, context, adapter).into(id, folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


class _Merge:
    def __init__(self, recipe: MergeRecipe, context: JobContext, adapter: LocalModel) -> None:
        self.recipe = recipe
        self.context = context
        self.adapter = adapter
        self.device = pick_device(recipe.device)
        self.versions = Versions(context, adapter, self.device)
        self.done = 0

    def into(self, id: str, folder: Path) -> dict[str, Any]:
        adapter = self.adapter
        about = About.of(self.context.workspace, adapter, self.recipe.name)
        # One version at a time is in memory.
        self._step("Loading the adapter with its full-precision base")
        beside = self.versions.beside()
        trained = beside.contract
        probe = probe_from(self._reader(trained), trained, self.context.check_cancelled)
        expected = self._numbers(beside, probe)
        del beside
        self._step("Merging")
        contract = save(self.versions.merged(), trained, folder, about)
        self._step("Checking the merged model")
        merged = self.versions.saved(folder)
        found = self._numbers(merged, probe)
        parity = self._decide(expected, found, probe)
        self._step("Measuring on dev")
        metrics = measure_again(self.context, adapter.folder, merged, about.trained)
        del merged
        self._step("Comparing with the model as it was trained")
        drift = self._drift(trained, found, probe)
        self.context.check_cancelled()
        result = {
            "base": about.base,
            "adapter": adapter.name,
            "adapter_id": adapter.model_id,
            "kind": contract.kind,
            "parity": parity,
            "drift": drift,
            "metrics": metrics,
        }
        return register(self.context, id, contract, about, result)

    def _decide(self, expected: Numbers, found: Numbers, probe: Probe) -> dict[str, Any]:
        largest, _ = max_difference(expected, found)
        if not largest <= ALLOWED:
            raise MergeFailed(
                f"The merged model differs from adapter and base: on {len(probe.queries)} queries "
                f"and {len(probe.documents)} documents of {probe.origin} by {largest:.2g}, and "
                f"{ALLOWED:g} is allowed. No model was saved.",
                "Use the adapter without merging; its base or the adapter's files may be damaged.",
                largest_difference=largest,
            )
        texts = len(probe.queries) + len(probe.documents)
        return {
            "texts": texts,
            "from": probe.origin,
            "largest_difference": largest,
            "allowed": ALLOWED,
        }

    def _drift(self, trained: Contract, found: Numbers, probe: Probe) -> dict[str, Any] | None:
        """How far the merged model is from the one that was trained, over other weights; None
        where it was trained over the full-precision ones."""
        kept = keeping_of(trained, "fp32")
        if kept.whole:
            return None
        against = trained.quantization or trained.dtype
        if not _can_keep(trained):
            note = "bitsandbytes is not installed, so the drift from training is not known."
            self.context.note(note)
            return {"against": against, "not_measured": note}
        largest, mean = max_difference(self._numbers(self.versions.as_trained(), probe), found)
        return {
            "against": against,
            "texts": len(probe.queries) + len(probe.documents),
            "largest_difference": largest,
            "mean_difference": mean,
        }

    def _numbers(self, loaded: Any, probe: Probe) -> Numbers:
        return numbers(loaded, probe, self.context.check_cancelled)

    def _reader(self, trained: Contract) -> DatasetReader | None:
        datasets = self.context.workspace.datasets
        if not trained.dataset or not datasets.exists(trained.dataset):
            return None
        return datasets.read(trained.dataset, trained.dataset_version)

    def _step(self, message: str) -> None:
        self.context.check_cancelled()
        self.context.progress(self.done, _STEPS, "steps", message)
        self.done += 1


def _can_keep(trained: Contract) -> bool:
    """Whether the weights can be kept here as they were in training."""
    from importlib.util import find_spec

    return not trained.quantization or find_spec("bitsandbytes") is not None
