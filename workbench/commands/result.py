"""What a command becomes."""

from dataclasses import asdict, dataclass, field
from typing import Any


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
