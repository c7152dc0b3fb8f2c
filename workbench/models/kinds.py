"""Which kind of retrieval model a folder holds, and what follows for its contract. Torch-free."""

from pathlib import Path

from workbench.errors import ModelUnusable
from workbench.models.architecture import PLAIN_LENGTH, TWO_TOWERS, JsonDict
from workbench.models.contract import Contract, Kind

#: sentence-transformers' names, and PyLate's for a late-interaction model.
_NAMES: dict[str, Kind] = {
    "": "embedding",
    "SentenceTransformer": "embedding",
    "CrossEncoder": "reranker",
    "MultiVectorEncoder": "late-interaction",
    "ColBERT": "late-interaction",
}
#: bge-m3's own head for a vector per token.
COLBERT_HEAD = "colbert_linear.pt"
#: A query rarely needs more; the rest of what the model can read is for the document.
QUERY_LENGTH = 64
#: ColBERTv2's own lengths (Santhanam et al. 2022).
LATE_QUERY_LENGTH, LATE_DOCUMENT_LENGTH = 32, 220


def kind_of_modules(folder: Path, about: JsonDict) -> Kind:
    """The kind of a sentence-transformers folder; raises :class:`ModelUnusable` for others."""
    name = str(about.get("model_type", ""))
    if name not in _NAMES:
        what = "a sparse encoder" if name == "SparseEncoder" else f"of the kind '{name}'"
        raise ModelUnusable(
            f"{folder} holds a model that is {what}.",
            "Embedding models, rerankers, late-interaction models and models of pictures and texts "
            "can be used here.",
        )
    return _NAMES[name]


def has_two_towers(config: JsonDict, module: JsonDict) -> bool:
    """Whether a module of sentence-transformers reads texts and pictures, each by itself.

    ``config`` is its transformer's own file, ``module`` what sentence-transformers notes of it; old
    folders name the module's class only, and that is theirs for CLIP.
    """
    read = module.get("modality_config") or {}
    return config.get("model_type") in TWO_TOWERS or {"text", "image"} <= set(read)


def kind_of_checkpoint(folder: Path, config: JsonDict) -> Kind:
    """The kind of a plain transformers checkpoint, as its architecture says."""
    architecture = str((config.get("architectures") or [""])[0])
    if architecture == "HF_ColBERT":
        return "late-interaction"
    if config.get("model_type") in TWO_TOWERS:
        return "image-text"
    if not architecture.endswith("ForSequenceClassification"):
        return "embedding"
    labels = config.get("id2label") or {"0": "", "1": ""}
    if len(labels) != 1:
        raise ModelUnusable(
            f"{folder} holds a classifier with {len(labels)} classes, not a reranker, which gives "
            "one score.",
            "Take the model it was made from, and train a reranker on it.",
        )
    return "reranker"


def is_late_folder(folder: Path) -> bool:
    """Whether a folder is sentence-transformers' or PyLate's, of a late-interaction model."""
    about = folder / "config_sentence_transformers.json"
    said = about.read_text(encoding="utf-8") if about.is_file() else ""
    return any(name in said for name in ("MultiVectorEncoder", "ColBERT"))


def has_token_head(folder: Path) -> bool:
    """Whether bge-m3's head for a vector per token lies beside the transformer: in a plain
    checkpoint, or, as published, in an embedding model's folder of sentence-transformers."""
    beside = all((folder / name).is_file() for name in (COLBERT_HEAD, "config.json"))
    return beside and not is_late_folder(folder)


def as_kind(contract: Contract, kind: Kind, *, llm: bool = False) -> Contract:
    """A contract read as an embedding model's, for a folder that holds another kind."""
    if kind == "reranker":
        most = min(contract.passage_max_len, PLAIN_LENGTH)
        query = min(QUERY_LENGTH, most // 2)
        return contract.model_copy(
            update={
                "kind": kind,
                "architecture": "llm" if llm else "cross-encoder",
                "query_max_len": query,
                "passage_max_len": most - query,
                "normalize": False,
                "dimensions": 0,
            }
        )
    if kind == "image-text":
        return contract.model_copy(update={"kind": kind, "pooling": "other", "causal": False})
    if kind == "late-interaction":
        return contract.model_copy(
            update={
                "kind": kind,
                "normalize": True,
                "query_max_len": min(LATE_QUERY_LENGTH, contract.query_max_len),
                "passage_max_len": min(LATE_DOCUMENT_LENGTH, contract.passage_max_len),
            }
        )
    return contract
