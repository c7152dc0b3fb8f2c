"""The task 'merge': an adapter becomes part of its base's weights, and a check decides.

The weights are merged in fp32 into the base at full precision, even where the adapter was trained
over a quantized or bf16 base: merged into those, the scores would change. Imports torch: worker
processes only.
"""

import shutil
from pathlib import Path
from typing import Any

from workbench.data.reader import DatasetReader
from workbench.errors import WorkbenchError
from workbench.jobs.context import JobContext
from workbench.merging.again import measure_again
from workbench.merging.prepare import adapter_of
from workbench.merging.probe import Numbers, Probe, apart, numbers, probe_from
from workbench.merging.save import About, register, save
from workbench.merging.versions import Versions
from workbench.models.contract import Contract
from workbench.models.keeping import keeping_of
from workbench.models.precision import pick_device
from workbench.models.resolve import ResolvedModel
from workbench.recipes.merge import MergeRecipe

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
    adapter = adapter_of(context.workspace, recipe.model)
    id, folder = context.workspace.models.new_folder()
    try:
        return _Merge(recipe, context, adapter).into(id, folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


class _Merge:
    def __init__(self, recipe: MergeRecipe, context: JobContext, adapter: ResolvedModel) -> None:
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
        self._step("Reading the adapter beside its full-precision base")
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
        metrics = measure_again(self.context, Path(adapter.source), merged, about.trained)
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
        model = register(self.context, id, contract, about, result)
        return {"model": model.name, "model_id": model.id, **result}

    def _decide(self, expected: Numbers, found: Numbers, probe: Probe) -> dict[str, Any]:
        largest, _ = apart(expected, found)
        if not largest <= ALLOWED:
            raise MergeFailed(
                f"The merged model is not the adapter on its base: on {len(probe.queries)} queries "
                f"and {len(probe.documents)} documents of {probe.origin} they are {largest:.2g} "
                f"apart, and {ALLOWED:g} is allowed. No model was kept.",
                "Use the adapter as it is; its base, or the adapter's files, may be damaged.",
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
        largest, mean = apart(self._numbers(self.versions.as_trained(), probe), found)
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
