"""Loads models of every kind, and encodes with embedding models. Imports torch: workers only.

Loading only reads the files of a model that was located (:mod:`.locate`).
Training's baseline, evaluation, indexing and search all encode through :class:`LoadedEmbedding`, so
that prompts, lengths, normalisation and number format are the same everywhere.
"""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import CrossEncoder, SentenceTransformer
from sentence_transformers.base.modules import transformer

from workbench.errors import ModelUnusable, WorkbenchError
from workbench.models.architecture import ONNX_FILE
from workbench.models.assemble import (
    Parts,
    WeightFormat,
    as_kept,
    assemble,
    attach,
    keeping_of,
    overlay,
    quiet_quantization,
    refuse_unquantizable,
    stored_keeping,
)
from workbench.models.contract import PICTURES, Contract
from workbench.models.engine_choice import WORTH, Engines, Rank
from workbench.models.engines import Use
from workbench.models.image_text import LoadedImageText, picture_model
from workbench.models.inference import (
    Features,
    Progress,
    Stop,
    computed,
    embedded,
    inference,
    longest,
    prompt_and_length,
    to_device,
    tokenized,
)
from workbench.models.late_interaction import LoadedLateInteraction
from workbench.models.locate import LocalModel
from workbench.models.precision import Precision, choose, pick_device
from workbench.models.quantized import is_graph
from workbench.models.towers import check_lengths

# A reranker in memory: scores pairs of query and document. Imports torch: workers only.

Scores = NDArray[np.float32]
#: The least that is left for a document when a template is long.
_LEAST = 8


@dataclass(frozen=True)
class LoadedReranker:
    """A reranker and the contract it is used by."""

    model: CrossEncoder
    contract: Contract
    device: str
    precision: Precision

    def with_contract(self, contract: Contract) -> "LoadedReranker":
        """The same model in memory, used otherwise."""
        return replace(self, contract=contract)

    def score(
        self,
        queries: Sequence[str],
        documents: Sequence[str],
        pairs: NDArray[np.int64],
        *,
        batch_size: int | None = None,
        progress: Progress | None = None,
        stop: Stop | None = None,
    ) -> Scores:
        """How well documents answer queries: logits, higher is better.

        ``pairs`` is (m, 2), rows of ``queries`` and ``documents``; the result is (m,).
        ``progress`` gets pairs done and in all; ``stop`` is called before each batch and may raise.
        """
        asked = cut(self.model.tokenizer, queries, self.contract.query_max_len)
        characters = np.array([len(text) for text in documents], dtype=np.int64)[pairs[:, 1]]
        both = [(asked[query], documents[document]) for query, document in pairs.tolist()]
        how = {"max_length": self._length()}
        options: dict[str, Any] = {"size": batch_size, "progress": progress, "stop": stop}
        scores = np.empty(len(pairs), dtype=np.float32)
        for rows, features in tokenized(self.model, both, characters, self.device, how, **options):
            scores[rows] = self._batch(features)
        return scores

    def _batch(self, features: Features) -> Scores:
        with inference(self.model, self.device, self.precision):
            output = self.model(to_device(features, self.device))
            scores: Scores = output["scores"].float().reshape(-1).cpu().numpy()
            return scores

    def _length(self) -> int:
        """Tokens of a pair; never more than the model has positions for. The query is cut first,
        then the pair at the lengths' sum."""
        return min(self.contract.longest, longest(self.model.config))


def cut(tokenizer: Any, texts: Sequence[str], length: int) -> list[str]:
    """Texts without what follows their first ``length`` tokens, special tokens not counted."""
    if not texts:
        return []
    found = tokenizer(
        list(texts),
        add_special_tokens=False,
        truncation=True,
        max_length=max(length, _LEAST),
        return_offsets_mapping=True,
    )
    ends = [offsets[-1][1] if offsets else 0 for offsets in found["offset_mapping"]]
    return [
        # Where nothing was cut, the text stays as it is, with any space at its end.
        text if len(offsets) < max(length, _LEAST) else text[:end]
        for text, offsets, end in zip(texts, found["offset_mapping"], ends, strict=True)
    ]


# Models as ONNX graphs: computed by ONNX Runtime instead of torch, everything around them (words
# to numbers, pooling, projection, scaling) as ever.
#
# sentence-transformers loads such models through ``optimum-onnx``, which cannot be installed
# beside current transformers; the one function it calls for that is put in its place here.

_MISSING = "The model is an ONNX graph, and onnxruntime is not installed."


class OnnxForward(torch.nn.Module):
    """Stands where the transformer stood: the same inputs by name, the same output by name."""

    def __init__(self, path: Path, config: Any) -> None:
        super().__init__()
        self.session = session_for(path)
        self.config = config
        self.inputs = [one.name for one in self.session.get_inputs()]
        self.outputs = [one.name for one in self.session.get_outputs()]

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    @property
    def dtype(self) -> torch.dtype:
        return torch.float32

    def forward(self, **features: Any) -> dict[str, torch.Tensor]:
        given = {name: features[name].numpy() for name in self.inputs}
        found = self.session.run(self.outputs, given)
        return {name: torch.from_numpy(one) for name, one in zip(self.outputs, found, strict=True)}


def session_for(path: Path) -> Any:
    """The graph, ready to compute with as many threads as torch would take."""
    try:
        import onnxruntime
    except ImportError as error:
        raise ModelUnusable(_MISSING, "Install it with: pip install onnxruntime") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    # Only errors: it warns of every node that it leaves as it is.
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


@contextmanager
def computed_by_onnx() -> Iterator[None]:
    """While it lasts, sentence-transformers' ``backend="onnx"`` loads graphs without optimum."""
    before = transformer.load_onnx_model
    transformer.load_onnx_model = _load_onnx
    try:
        yield
    finally:
        transformer.load_onnx_model = before


def _load_onnx(model_name_or_path: str, config: Any, **_about: Any) -> OnnxForward:
    return OnnxForward(Path(model_name_or_path) / ONNX_FILE, config)


#: In which format texts of others are encoded.
PRECISION_VARIABLE = "WORKBENCH_SERVING_PRECISION"
#: Batches whose vectors are copied together from a GPU.
_PIECE = 16
Role = Literal["query", "document"]
Embeddings = NDArray[np.float32]


@dataclass(frozen=True)
class LoadedEmbedding:
    """A model in memory and the contract it is used by. Its weights are fp32 in any precision."""

    model: SentenceTransformer
    contract: Contract
    device: str
    precision: Precision
    #: Batches computed at once, where the engine has a core for each.
    workers: int = 1
    #: What decides which engine encodes; None encodes with the model as it is.
    engines: Engines | None = None

    def with_contract(self, contract: Contract) -> "LoadedEmbedding":
        """The same model in memory, used otherwise."""
        return replace(self, contract=contract)

    def with_engines(
        self,
        home: Path,
        digest: str,
        name: str,
        use: Use = "texts",
        worth: int | None = WORTH,
        tell: Callable[[str], None] | None = None,
        rank: Rank | None = None,
    ) -> "LoadedEmbedding":
        """The same model, computed by what is fastest here; see :class:`Engines`."""
        return replace(self, engines=Engines(home, digest, name, use, worth, tell, rank))

    def served(self) -> "LoadedEmbedding":
        """The same model for many texts of others at once, in the format that search has, or with
        'fp32' in the environment's ``WORKBENCH_SERVING_PRECISION`` in that, where its weights are:
        in half precision a vector depends, in its fourth digit, on the texts beside it."""
        floats = {one.dtype for one in self.model.parameters() if one.is_floating_point()}
        exact = floats == {torch.float32} and os.environ.get(PRECISION_VARIABLE) == "fp32"
        return replace(self.used("texts"), precision="fp32" if exact else self.precision)

    def used(self, use: Use) -> "LoadedEmbedding":
        """The same model for another use of its engines."""
        return replace(self, engines=self.engines.used(use) if self.engines else None)

    def computed(
        self, texts: Sequence[str], role: Role, stop: Stop | None = None
    ) -> "LoadedEmbedding":
        """The same model by what computes these texts, measured now where they are many."""
        found = self.engines.of(self, texts, role, stop) if self.engines else self
        return cast(LoadedEmbedding, found)

    def decided(self, stop: Stop) -> None:
        """Measure now which engine computes it, if that is not known. ``stop`` is called before
        each part."""
        if self.engines is not None:
            self.engines.decide(self, stop)

    @property
    def dimensions(self) -> int:
        return int(self.model.get_embedding_dimension() or self.contract.dimensions)

    def encode(
        self,
        texts: Sequence[str],
        role: Role,
        *,
        batch_size: int | None = None,
        progress: Progress | None = None,
        stop: Stop | None = None,
    ) -> Embeddings:
        """Embeddings of ``texts``, float32 of shape (len(texts), dimensions), in their order.

        ``progress`` gets texts done and in all after each batch; ``stop`` is called before each
        batch and may raise. The model's training mode is left as it was.
        """
        if self.engines is not None:
            quick = self.computed(texts, role, stop)
            return quick.encode(texts, role, batch_size=batch_size, progress=progress, stop=stop)
        embeddings = np.empty((len(texts), self.dimensions), dtype=np.float32)
        prompt, length = prompt_and_length(self.contract, role, self.model.config)
        how = {"prompt": prompt or None, "task": role, "max_length": length}
        asked: dict[str, Any] = {"size": batch_size, "progress": progress, "stop": stop}
        characters = [len(text) for text in texts]
        asked["workers"] = self.workers
        fed = tokenized(self.model, texts, characters, self.device, how, **asked)
        piece = _PIECE if self.device.startswith("cuda") else 1
        for rows, vectors in computed(fed, self._batch, workers=self.workers, piece=piece):
            embeddings[rows] = vectors
        return embeddings

    def _batch(self, features: Features) -> torch.Tensor:
        with inference(self.model, self.device, self.precision):
            return embedded(self.model, to_device(features, self.device), self.contract)


Loaded = LoadedEmbedding | LoadedReranker | LoadedLateInteraction | LoadedImageText


def load_model(
    local: LocalModel,
    *,
    device: str = "auto",
    precision: str = "auto",
    contract: Contract | None = None,
    keeping: WeightFormat | None = None,
) -> Loaded:
    """Load a model of any kind.

    ``contract`` uses it otherwise than it says itself (an encoder as the start of a reranker);
    ``keeping`` keeps its weights otherwise than in fp32 (under an adapter to be trained). An
    adapter is merged into its base's weights where these are in full precision. Raises
    :class:`ModelUnusable`, in sentences, for anything that is wrong.
    """
    _quiet()
    contract = contract or local.contract
    # ONNX Runtime as it is installed computes on the CPU.
    place = "cpu" if is_graph(local.contract) else pick_device(device)
    used = choose(precision, place)
    # bf16 weights beside an fp32 adapter or head meet in autocast only, as they did in training.
    mixed = keeping is None and local.base is not None and contract.dtype == "bfloat16"
    if keeping is None:
        keeping = keeping_of(contract, used) if local.base else stored_keeping(contract)
    refuse_unquantizable(keeping)
    model = _load(local, contract, place, keeping)
    if mixed and used == "fp32":
        used = "bf16"
    if contract.weights:
        # Quantized weights have a format of their own: nothing is cast as it is computed.
        used = "fp32"
    kind = contract.model_kind
    if kind.token_vectors or (kind.encodes and contract.dimensions == 0):
        # A plain checkpoint's files say how wide its layers are, not its projection.
        contract = contract.model_copy(update={"dimensions": model.get_embedding_dimension() or 0})
    loaded: Loaded = kind.load(kind.loaded)(model, contract, place, used)
    if isinstance(loaded, LoadedImageText) and contract.pictures_by:
        eyes = picture_model(local.folder / PICTURES, place)
        check_lengths(loaded.dimensions, int(eyes.get_embedding_dimension() or 0))
        return replace(loaded, eyes=eyes)
    return loaded


def load_embedding(
    local: LocalModel, *, device: str = "auto", precision: str = "auto"
) -> LoadedEmbedding:
    """As :func:`load_model`; raises :class:`ModelUnusable` for a model of another kind."""
    loaded = load_model(local, device=device, precision=precision)
    if not isinstance(loaded, LoadedEmbedding):
        raise ModelUnusable(
            f"'{local.name}' is a {loaded.contract.kind} model, not an embedding model.",
            "It finds pictures by their captions: choose a data set of pictures for it."
            if isinstance(loaded, LoadedImageText)
            else "It can order what an embedding model or BM25 finds: choose it as second stage.",
        )
    return loaded


def _load(local: LocalModel, contract: Contract, device: str, keeping: WeightFormat) -> Any:
    """The library's model."""
    trust = local.trust_remote_code
    try:
        if local.base is not None:
            return _load_adapter(local, local.base, contract, device, keeping)
        parts = Parts(local.weights, local.layout, contract, device, trust, keeping)
        if is_graph(contract):
            with computed_by_onnx():
                return assemble(parts)
        model = assemble(parts)
        return as_kept(model, keeping) if contract.weights else model
    except WorkbenchError:
        raise
    except Exception as error:
        raise explain(local.name, error) from error


def _load_adapter(
    adapter: LocalModel, base: LocalModel, contract: Contract, device: str, keeping: WeightFormat
) -> Any:
    folder, trust = adapter.weights, adapter.trust_remote_code
    if (folder / "modules.json").is_file():
        # The base's weights inside the modules that were saved with the adapter.
        with overlay(folder, base.weights) as joined:
            model = assemble(
                Parts(joined, "sentence-transformers", contract, device, trust, keeping)
            )
    else:
        model = _load(base, base.contract, device, keeping)
        if contract.pooling != base.contract.pooling:
            raise ModelUnusable(
                f"The adapter '{adapter.name}' pools by {contract.pooling}, its base by"
                f" {base.contract.pooling}.",
                "Merge the adapter where it was made, and add the merged model.",
            )
    attach(model, folder, keeping)
    return model


def explain(name: str, error: Exception) -> ModelUnusable:
    """A library's complaint about a model as a sentence."""
    text = " ".join(str(error).split())
    if "trust_remote_code" in text or "custom code" in text:
        return ModelUnusable(
            f"The model '{name}' comes with its own code, which is not run.",
            "Whoever starts the workbench can allow it with --trust-remote-code.",
        )
    if "size mismatch" in text or "shapes cannot" in text:
        return ModelUnusable(f"The weights of '{name}' do not fit its configuration: {text[:300]}")
    if isinstance(error, torch.cuda.OutOfMemoryError):
        return ModelUnusable(f"'{name}' does not fit into the GPU's memory.", "Use device cpu.")
    return ModelUnusable(
        f"The model '{name}' could not be loaded: {type(error).__name__}: {text[:300]}",
        "Check that the folder is complete and that it is a retrieval model.",
    )


def _quiet() -> None:
    """Loading bars of the libraries would fill the job's log."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    logging.getLogger("sentence_transformers").setLevel(logging.WARNING)
    quiet_quantization()
