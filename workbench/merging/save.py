"""A merged or blended model as a folder, and as a model of the workspace. Workers only."""

import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from storage.records import Model
from workbench.jobs.context import JobContext
from workbench.merging.card import write_merged
from workbench.models.contract import Contract
from workbench.models.registry import from_job, new_model
from workbench.models.resolve import ResolvedModel
from workbench.models.score import pair_length
from workbench.training.model import within_limit
from workbench.training.outputs import CONFIG
from workbench.training.run import Outcome

if TYPE_CHECKING:
    from workbench.workspace import Workspace

#: What a trained adapter's record says that stays true of the merged model.
_KEPT = (
    *("dataset", "dataset_version", "method", "metric", "steps", "best_step"),
    *("baseline", "baseline_name", "untrained"),
)


@dataclass(frozen=True, slots=True)
class About:
    """What is known of an adapter: its record, where the workspace has one."""

    name: str
    base: str
    adapter: ResolvedModel
    verdict: str = ""
    summary: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, workspace: "Workspace", adapter: ResolvedModel, name: str) -> "About":
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
    config = Path(about.adapter.source) / CONFIG
    if config.is_file():
        shutil.copy2(config, folder / CONFIG)
    return contract


def write_model(model: Any, contract: Contract, folder: Path) -> None:
    """The model in sentence-transformers' format, with its contract, prompts and lengths."""
    if contract.kind == "reranker":
        longest = pair_length(contract)
    else:
        # For those who load the folder with sentence-transformers alone.
        model.prompts = {"query": contract.query_prompt, "document": contract.document_prompt}
        model.default_prompt_name = None
        longest = max(contract.query_max_len, contract.passage_max_len)
    model.max_seq_length = min(longest, within_limit(model))
    model.eval()
    model.save_pretrained(str(folder), create_model_card=False)
    contract.write(folder)


def register(
    context: JobContext, id: str, contract: Contract, about: About, result: dict[str, Any]
) -> Model:
    """The folder models/<id>, which is complete, as a model of the workspace."""
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
    return models.add(
        replace(from_job(model, context.job.id), base=about.base or model.base, verdict=verdict)
    )


def _verdict(summary: dict[str, Any], before: str) -> str:
    """What training's rule says of the merged model's own dev values."""
    baseline, untrained = summary.get("baseline"), summary.get("untrained")
    if not baseline:
        return before
    untrained = baseline if untrained in (None, baseline) else untrained
    name = str(summary.get("baseline_name", ""))
    return Outcome(summary["metric"], baseline, untrained, summary["best"], name).verdict
