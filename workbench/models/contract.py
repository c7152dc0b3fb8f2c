"""What must be known of a model to use it as it was trained; saved beside its weights, obeyed
in evaluation, indexing, search and export. An LLM reranker's prompt is part of it.
"""

import json
import re
from collections.abc import Callable, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Annotated, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from workbench.errors import BadInput, ModelUnusable, value_sentence
from workbench.extensions import OneOf
from workbench.model_kinds import MODEL_KINDS, ModelKind
from workbench.models.architecture import TWO_TOWERS, JsonDict

CONTRACT_FILE = "contract.json"
#: Below a model whose texts and pictures are read by two models: the one of the pictures.
PICTURES = "pictures"

Pooling = Literal["mean", "cls", "lasttoken", "max", "weightedmean", "other"]


class Contract(BaseModel):
    """A model's contract. Lengths are in tokens, special tokens included."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: Annotated[str, OneOf(MODEL_KINDS.names)] = "embedding"
    pooling: Pooling = "mean"
    normalize: bool = True
    #: Attention direction: True for decoders that look back only.
    causal: bool = False
    query_prompt: str = ""
    document_prompt: str = ""
    #: Stands between a document's title and its text, where it has a title.
    title_separator: str = " "
    query_max_len: int = 512
    passage_max_len: int = 512
    dimensions: int = 0
    #: Rerankers: 'cross-encoder' (a score head) or 'llm' (the log-odds of two answer tokens).
    architecture: Literal["", "cross-encoder", "llm"] = ""
    yes_token: str = ""
    no_token: str = ""
    instruction: str = ""
    #: An LLM reranker's prompt with {query} and {document}; empty: the tokenizer's chat template.
    prompt_template: str = ""
    #: The name of the model that reads the pictures, where it is another than the one of the texts:
    #: its files lie in the folder :data:`PICTURES` below the model's own.
    pictures_by: str = ""
    #: How the frozen weights under an adapter were kept in training: used so, scores are the same.
    quantization: Literal["", "nf4", "fp4", "int8"] = ""
    double_quantization: bool = False
    #: The quantization method by which a model's own weights are kept; '' as they were trained.
    weights: str = ""
    #: The format that 4-bit weights are multiplied in; empty: as the computation.
    compute_dtype: Literal["", "fp32", "bf16", "fp16"] = ""
    dtype: str = "float32"
    base_model: str = ""
    dataset: str = ""
    dataset_version: int | None = None

    @property
    def model_kind(self) -> ModelKind:
        """What a model of its kind can do."""
        return MODEL_KINDS.get(self.kind)

    @property
    def longest(self) -> int:
        """The most tokens that the model reads at once."""
        lengths = (self.query_max_len, self.passage_max_len)
        return sum(lengths) if self.model_kind.reads_pairs else max(lengths)

    def join(self, title: str, text: str) -> str:
        """A document as the model reads it (without the prompt)."""
        return f"{title}{self.title_separator}{text}" if title else text

    def write(self, folder: Path) -> None:
        """Save as contract.json in the model's folder: the old one or the new one, never half."""
        beside = folder / f"{CONTRACT_FILE}.new"
        beside.write_text(self.dump(), encoding="utf-8")
        beside.replace(folder / CONTRACT_FILE)

    def dump(self) -> str:
        """What :meth:`write` writes."""
        return self.model_dump_json(indent=2) + "\n"

    @classmethod
    def read(cls, folder: Path) -> "Contract | None":
        """The saved contract, or None where the folder has none; raises :class:`ModelUnusable` for
        one that says what cannot be, such as a kind of model that nothing here knows."""
        path = folder / CONTRACT_FILE
        if not path.is_file():
            return None
        try:
            return cls.model_validate_json(path.read_text(encoding="utf-8"))
        except ValidationError as error:
            wrong = error.errors()[0]
            field = ".".join(map(str, wrong["loc"])) or CONTRACT_FILE
            raise ModelUnusable(
                f"The contract of the model in {folder} cannot be used: {field}: "
                f"{value_sentence(wrong)}",
                "A kind of model that an extension brought needs that extension.",
            ) from error


# What a model may be called, and a name for one that has none yet.

_RESERVED = ("bm25",)
#: Folder names that say nothing about the model in them.
_GENERIC = (
    "final",
    "model",
    "best",
    "output",
    "checkpoint-*",
    "epoch*",
    "step*",
    "lora",
    "adapter",
)
_REVISION = re.compile(r"[0-9a-f]{40}")


def check_name(name: str) -> str:
    """The name without spaces around it; raises :class:`BadInput` where it would be ambiguous.

    A name with slashes would look like a hub id or a folder.
    """
    clean = name.strip()
    if not clean or any(sign in clean for sign in "/\\") or not clean.isprintable():
        raise BadInput(
            f"'{name}' cannot be a model's name.", "Use letters, digits, spaces, dots and dashes."
        )
    if clean.lower() in _RESERVED or clean.startswith((".", "-")):
        raise BadInput(f"'{clean}' cannot be a model's name.", "Choose another one.")
    return clean


def name_from(source: str) -> str:
    """A name from a hub id or a folder: .../my-run/final becomes my-run-final."""
    path = Path(source)
    name = path.name
    if _REVISION.fullmatch(name) and path.parent.name == "snapshots":
        return path.parent.parent.name.rpartition("--")[2]
    if any(fnmatch(name, pattern) for pattern in _GENERIC) and path.parent.name:
        name = f"{path.parent.name}-{name}"
    return name.lstrip(".-")[:100] or "model"


# Which kind of retrieval model a folder holds, and what follows for its contract.

#: bge-m3's own head for a vector per token.
COLBERT_HEAD = "colbert_linear.pt"


def kind_of_modules(folder: Path, about: JsonDict) -> str:
    """The kind of a sentence-transformers folder; raises :class:`ModelUnusable` for others."""
    name = str(about.get("model_type", ""))
    found = MODEL_KINDS.named(lambda kind: name in kind.written_by)
    if not found:
        what = "a sparse encoder" if name == "SparseEncoder" else f"of the kind '{name}'"
        raise ModelUnusable(
            f"{folder} holds a model that is {what}.",
            "Embedding models, rerankers, late-interaction models and models of pictures and texts "
            "can be used here.",
        )
    return found[0]


def has_two_towers(config: JsonDict, module: JsonDict) -> bool:
    """Whether a module of sentence-transformers reads texts and pictures, each by itself.

    ``config`` is its transformer's own file, ``module`` what sentence-transformers notes of it; old
    folders name the module's class only, and that is theirs for CLIP.
    """
    read = module.get("modality_config") or {}
    return config.get("model_type") in TWO_TOWERS or {"text", "image"} <= set(read)


def kind_of_checkpoint(folder: Path, config: JsonDict) -> str:
    """The kind of a plain transformers checkpoint, as its architecture says; raises
    :class:`ModelUnusable` for a classifier of several classes."""
    kinds = reversed(MODEL_KINDS.all())
    return next(kind.name for kind in kinds if kind.is_checkpoint(folder, config))


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


def as_kind(contract: Contract, kind: str, *, llm: bool = False) -> Contract:
    """A contract read as an embedding model's, for a folder that holds another kind. ``llm``: it
    holds a language model with its output layer."""
    made: Contract = MODEL_KINDS.get(kind).made_from(contract, llm)
    return made.model_copy(update={"kind": kind})


# An LLM reranker's prompt, as a person writes it and as its tokenizer keeps it.
#
# The tokenizer's chat template carries the prompt, so that the saved folder asks the same question
# in sentence-transformers alone: it renders a pair as two messages, 'query' and 'document', and
# when a pair is too long it cuts the document and puts what follows it back.

#: The prompt of an LLM reranker whose own files bring none.
TEMPLATE = (
    "Judge whether the document answers the query. Answer only {yes} or {no}.\n"
    "Instruction: {instruction}\nQuery: {query}\nDocument: {document}\nAnswer:"
)
INSTRUCTION = "Find documents that answer the query."
YES, NO = "yes", "no"

_FIELD = re.compile(r"\{(query|document|instruction|yes|no)\}")
_GATHER = (
    "{%- set pair = namespace(query='', document='') -%}"
    "{%- for message in messages -%}"
    "{%- if message['role'] == 'query' -%}{%- set pair.query = message['content'] -%}"
    "{%- elif message['role'] == 'document' -%}{%- set pair.document = message['content'] -%}"
    "{%- endif -%}{%- endfor -%}"
)


def chat_template(template: str, *, instruction: str, yes: str, no: str) -> str:
    """The Jinja template of a prompt with ``{query}`` and ``{document}``.

    ``{instruction}``, ``{yes}`` and ``{no}`` are filled in; any other brace stays as it is. Raises
    :class:`BadInput` where the prompt would not contain the query or the document.
    """
    for needed in ("query", "document"):
        if template.count(f"{{{needed}}}") != 1:
            raise BadInput(
                f"The prompt must contain {{{needed}}} exactly once.",
                "Write for example: Query: {query} Document: {document} Answer:",
            )
    given = {"instruction": instruction, "yes": yes, "no": no}
    pieces = _FIELD.split(template)
    written = []
    for at, piece in enumerate(pieces):
        if at % 2 == 0:
            written.append(_literal(piece))
        elif piece in given:
            written.append(_literal(given[piece]))
        else:
            written.append(f"{{{{- pair.{piece} -}}}}")
    return _GATHER + "".join(written)


def own_template(folder: Path) -> bool:
    """Whether the model brings a chat template of its own that knows queries and documents; one
    for plain chats does not."""
    path = folder / "chat_template.jinja"
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    return "query" in text and "document" in text


def template_of(contract: Contract) -> str:
    """The chat template that asks a contract's question; raises :class:`BadInput`."""
    return chat_template(
        contract.prompt_template or TEMPLATE,
        instruction=contract.instruction or INSTRUCTION,
        yes=contract.yes_token or YES,
        no=contract.no_token or NO,
    )


def _literal(text: str) -> str:
    """Text that Jinja prints as it is, whatever it contains."""
    return f"{{{{- {json.dumps(text, ensure_ascii=False)} -}}}}" if text else ""


# What a second stage is to those who use one: a reranker or a late-interaction model, loaded.


class Scorer(Protocol):
    """What puts candidates in order: a reranker or a late-interaction model in memory."""

    @property
    def contract(self) -> Contract: ...

    def score(
        self,
        queries: Sequence[str],
        documents: Sequence[str],
        pairs: NDArray[np.int64],
        *,
        progress: Callable[[int, int], None] | None = None,
        stop: Callable[[], None] | None = None,
    ) -> NDArray[np.float32]:
        """``pairs`` (m, 2) of (query, document) indices -> scores (m,), higher is better."""
        ...
