"""The state of one reading: what the words so far have become."""

import re
from dataclasses import asdict, dataclass, field
from typing import Any

from workbench.commands.parse import Option
from workbench.model_kinds import MODEL_KINDS, ModelKind
from workbench.recipes.describe import describe
from workbench.recipes.train import KINDS

_YES = ("true", "1", "yes", "y", "on", "t")
_NO = ("false", "0", "no", "n", "off", "f", "none", "null")
_SECRET = re.compile(r"token(?!ize|_dim)|secret|password|api_?key|credential")


@dataclass
class Reading:
    """Collects values, notes and unknown words. Rules write to it, one word at a time."""

    kind: str
    tool: str
    gpu: bool
    values: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    train: list[str] = field(default_factory=list)
    dev: list[str] = field(default_factory=list)
    columns: dict[str, str] = field(default_factory=dict)
    #: A reranker's length of query and document together.
    pair_length: int | None = None
    formats: dict[str, str] = field(default_factory=dict)

    @property
    def model_kind(self) -> ModelKind:
        return MODEL_KINDS.get(self.kind)

    @property
    def words(self) -> str:
        """The kind of model, in words."""
        return self.model_kind.noun

    def has(self, name: str) -> bool:
        """Whether this kind's recipe has the field."""
        return name in KINDS[self.kind].model_fields

    def allows(self, name: str, value: str) -> bool:
        """Whether a field that is a choice offers this value."""
        return any(
            value in spec.choices for spec in describe(KINDS[self.kind]) if spec.name == name
        )

    def put(self, name: str, value: Any, option: Option) -> None:
        """Set a field; a note where this kind's recipe has no such field."""
        if self.has(name):
            self.values[name] = value
        else:
            self.note(option, f"training {self.words} has no field '{name}'.")

    def note(self, option: Option, sentence: str) -> None:
        """Say of a word what it became, or why nothing."""
        self.notes.append(f"{shown(option)}: {sentence}")

    def unclear(self, option: Option, why: str) -> None:
        """A word, or its value, that could not be understood."""
        self.unknown.append(f"{shown(option)}: {why}")

    def flag(self, option: Option) -> bool | None:
        """The truth of a flag, given bare or with a word; None, and said, where it is neither."""
        text = option.text.strip().lower()
        if text in ("", *_YES):
            return True
        if text in _NO:
            return False
        self.unclear(option, "neither true nor false, so it was not taken.")
        return None

    def number(self, option: Option) -> float | None:
        """A number; None, and said, where it is none."""
        try:
            value = float(option.text)
        except ValueError:
            value = float("nan")
        if value != value or abs(value) == float("inf"):
            self.unclear(option, "no number, so it was not taken.")
            return None
        return value

    def whole(self, option: Option) -> int | None:
        value = self.number(option)
        return None if value is None else int(value)


def shown(option: Option) -> str:
    """A word with its value, short; values that may be secret are never repeated."""
    if _SECRET.search(option.word):
        return f"{option.word} (value not shown)"
    text = " ".join(option.text.split())
    text = text if len(text) <= 60 else text[:57] + "..."
    return f"{option.word} {text}".strip()


# What a command becomes.


@dataclass(frozen=True, slots=True)
class DataSource:
    """The data a command names. Paths are as they were written; ``train`` may be one folder.

    ``columns`` maps a part (query, positive, negative, score) to the column that plays it.
    """

    train: tuple[str, ...] = ()
    dev: tuple[str, ...] = ()
    columns: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Imported:
    """A command in the workbench's words.

    ``values`` are fields of the recipe of ``kind``, checked by it, without those left at their
    default. ``notes`` says for each word what it became where that is not plain, or why it has no
    equal or no effect here; ``unknown`` are the words that nothing is known about.
    """

    kind: str
    #: Whose command it is, for people: FlagEmbedding, EmbedRAG ...
    tool: str
    values: dict[str, Any]
    data: DataSource
    notes: list[str]
    unknown: list[str]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)
