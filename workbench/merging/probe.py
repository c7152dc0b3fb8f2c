"""The texts that two versions of a model are compared on, and how far apart they are.

Imports torch (by the models): worker processes only.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.data.job import collect
from workbench.data.reader import DatasetReader
from workbench.errors import ModelUnusable, NotFound
from workbench.evaluation.texts import join_documents
from workbench.jobs.reporting import JobContext
from workbench.models.assemble import FULL, WeightFormat, keeping_of
from workbench.models.contract import Contract
from workbench.models.load import load_model
from workbench.models.locate import LocalModel, locate_folder
from workbench.pictures.captions import draw, scenes
from workbench.training.dev import Dev
from workbench.training.run import CONFIG, Place

#: Half of them queries, half documents; a reranker reads as many pairs of them.
TEXTS = 64
_HALF = TEXTS // 2
#: Drawn ones, beside the texts, for models that see.
_PICTURES = 16

Numbers = list[NDArray[np.float32]]
Stop = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Probe:
    """Real texts: :data:`TEXTS` in all. ``origin`` says where they are from."""

    queries: list[str]
    documents: list[str]
    origin: str


def probe_from(reader: DatasetReader | None, contract: Contract, stop: Stop) -> Probe:
    """Texts of the data set the model was trained on; what is missing, the standard library's.

    The library's texts are those of the packaged sample: docstrings, and the code they describe.
    """
    queries, documents = _of_dataset(reader, contract) if reader else ([], [])
    origin = reader.name if reader and queries else ""
    if len(queries) < _HALF or len(documents) < _HALF:
        pairs = list(islice(collect(lambda *_: None, stop), _HALF))
        queries += [pair.query for pair in pairs][: _HALF - len(queries)]
        documents += [pair.code for pair in pairs][: _HALF - len(documents)]
        origin = f"{origin} and the standard library" if origin else "the standard library"
    return Probe(queries, documents, origin)


def _of_dataset(reader: DatasetReader, contract: Contract) -> tuple[list[str], list[str]]:
    splits = reader.counts["splits"]
    # The smallest that suffices: a training split may hold millions.
    ample = sorted((count, split) for split, count in splits.items() if count >= _HALF)
    split = ample[0][1] if ample else max(splits, key=lambda one: splits[one])
    asked: list[str] = reader.queries(split)["text"].to_pylist()
    queries = [asked[row] for row in _spread(len(asked))]
    table = reader.documents_at(_spread(int(reader.counts["documents"])))
    return queries, join_documents(table, contract).to_pylist()


def _spread(count: int) -> list[int]:
    """Rows evenly from the first to the last, each once."""
    if count == 0:
        return []
    return sorted(set(np.linspace(0, count - 1, _HALF).round().astype(int).tolist()))


def numbers(loaded: Any, probe: Probe, stop: Stop) -> Numbers:
    """What a loaded model makes of the texts: embeddings, token vectors, or scores of pairs."""
    kind = loaded.contract.model_kind
    if kind.reads_pairs:
        count = len(probe.documents)
        pairs = [(row, (row + by) % count) for by in (0, 1) for row in range(len(probe.queries))]
        return [loaded.score(probe.queries, probe.documents, np.array(pairs), stop=stop)]
    # A model of pictures has a second tower, which no text goes through.
    seen = _pictures() if kind.reads_pictures else []
    return [
        *loaded.encode(probe.queries, "query", stop=stop),
        *loaded.encode(probe.documents, "document", stop=stop),
        *(loaded.encode_pictures(seen, stop=stop) if seen else []),
    ]


def _pictures() -> list[Any]:
    return [draw(scene, 64, at) for at, scene in enumerate(scenes(_PICTURES, 1))]


def max_difference(first: Numbers, second: Numbers) -> tuple[float, float]:
    """The largest and the mean absolute difference; infinite where shapes or numbers are wrong."""
    if [one.shape for one in first] != [one.shape for one in second]:
        return float("inf"), float("inf")
    gaps = np.concatenate(
        [np.abs(a.astype(np.float64) - b).ravel() for a, b in zip(first, second, strict=True)]
    )
    if not np.isfinite(gaps).all():
        return float("inf"), float("inf")
    return float(gaps.max()), float(gaps.mean())


# The versions of an adapter that a merge compares.


@dataclass(frozen=True, slots=True)
class Beside(WeightFormat):
    """The base in full precision, the adapter beside it: what a merged model must equal."""

    @property
    def whole(self) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class Versions:
    """Loads one adapter in each of its versions, computing in fp32 wherever the weights allow."""

    context: JobContext
    adapter: LocalModel
    device: str

    def beside(self) -> Any:
        """Unmerged, on the full-precision base. Raises :class:`ModelUnusable` where weights of the
        adapter belong to no layer of it: a comparison would not notice, both sides lack them."""
        loaded = self._load(Beside())
        loaded.model.float()
        refuse_unplaced(loaded.model[0].model, self.adapter.weights)
        return loaded

    def merged(self) -> Any:
        """Merged into the full-precision base, whatever it was trained on."""
        return self._load(FULL)

    def as_trained(self) -> Any:
        """On the base as it was kept in training: quantized or in bf16."""
        # Weights in bf16 only meet an fp32 head where everything is computed in bf16.
        halved = keeping_of(self.adapter.contract, "fp32").dtype == torch.bfloat16
        return self._load(None, precision="bf16" if halved else "fp32")

    def saved(self, folder: Path) -> Any:
        """The merged model as it was written to disk."""
        return self._load(None, locate_folder(self.context.workspace, folder))

    def _load(
        self,
        keeping: WeightFormat | None,
        source: LocalModel | None = None,
        precision: str = "fp32",
    ) -> Any:
        self.context.check_cancelled()
        return load_model(
            source or self.adapter,
            device=self.device,
            precision=precision,
            keeping=keeping,
        )


def refuse_unplaced(inner: Any, adapter: Path) -> None:
    """Raise :class:`ModelUnusable` unless every saved number of the adapter is in the model."""
    from peft import get_peft_model_state_dict
    from safetensors.torch import load_file

    there = {
        name: value
        for active in inner.peft_config
        for name, value in get_peft_model_state_dict(inner, adapter_name=active).items()
    }
    saved = load_file(str(adapter / "adapter_model.safetensors"))
    lost = [name for name, value in saved.items() if not _placed(name, value, there)]
    if lost:
        raise ModelUnusable(
            f"{len(lost)} of the adapter's {len(saved)} weights belong to no layer of its base "
            f"(the first: {lost[0]}).",
            "See whether the base is the model that the adapter was trained on.",
        )


def _placed(name: str, value: torch.Tensor, there: dict[str, torch.Tensor]) -> bool:
    plain = name.removeprefix("base_model.model.")
    found = there.get(plain)
    if found is None:
        # A model inside another one has a longer or a shorter name for the same layer.
        found = next((v for n, v in there.items() if n.endswith(plain) or plain.endswith(n)), None)
    return (
        found is not None
        and found.shape == value.shape
        and torch.equal(found.detach().float().cpu(), value.float())
    )


# The merged model on the same dev task that training had. Imports torch: workers only.


def measure_again(
    context: JobContext, adapter: Path, merged: Any, trained: Mapping[str, float]
) -> dict[str, Any] | None:
    """Dev values of the merged model beside those of the run (``trained``, empty where unknown).

    The adapter's folder says what the run measured on. None for an adapter from elsewhere, and
    where the data set is gone or has no dev queries.
    """
    path = adapter / CONFIG
    if not path.is_file():
        return None
    values = json.loads(path.read_text(encoding="utf-8"))
    resolved = values.pop("resolved", {})
    precision = resolved.get("precision", "fp32")
    kind = merged.contract.model_kind
    recipe = kind.recipe.read({**values, **resolved.get("dev", {})})
    datasets = context.workspace.datasets
    if not datasets.exists(recipe.dataset):
        return None
    reader = datasets.read(recipe.dataset, recipe.dataset_version)
    if not reader.counts["splits"].get("dev"):
        return None
    if precision == "fp16" and merged.device == "cpu":
        precision = "fp32"
    try:
        dev: Dev = kind.load(kind.training)().dev(
            recipe, context, reader, context.folder, Place(merged.device, precision)
        )
    except NotFound as error:
        # The first stage was a model that has been removed since.
        context.note(f"The merged model was not measured again: {error}")
        return None

    def progress(done: int, total: int) -> None:
        context.progress(done, total, "texts", "Measuring the merged model on dev")

    # As dev was measured in training, in its number format.
    measured = dev.dev_task.measure(
        replace(merged, precision=precision), progress=progress, stop=context.check_cancelled
    )
    return {
        "dataset": recipe.dataset,
        "dataset_version": reader.version,
        "split": "dev",
        "queries": dev.dev_task.queries,
        "metric": recipe.metric,
        "trained": dict(trained),
        "merged": measured.scores.means(),
    }
