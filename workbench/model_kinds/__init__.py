"""The kinds of model, and all that the rest of the workbench asks of one.

A file in this folder that defines ``KIND`` is found by itself; code elsewhere calls
``MODEL_KINDS.register``. Nothing compares a kind's name: what a model can do is asked of its kind
(``contract.model_kind.encodes``). The name stands in records, recipes and on the command line.

Light to import, and torch-free: what imports torch is named as 'module:attribute'.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from workbench.extensions import Registry


def _no(*_: Any) -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelKind:
    """One kind of model: what it does, how it is built, trained, described and used elsewhere."""

    #: As contracts, records and ``--kind`` have it: 'late-interaction'.
    name: str
    #: Within a sentence: 'late-interaction model'.
    label: str
    #: Its training recipe, a :class:`workbench.recipes.train.TrainRecipe`; its task is 'train-' and
    #: the kind's name.
    recipe: type[Any]
    #: A class that has what :class:`workbench.training.run.Training` asks for.
    training: str
    #: The model in memory: a class made of (model, contract, device, precision).
    loaded: str
    #: Builds the library's model from :class:`workbench.models.assemble.Parts`.
    assemble: str
    #: sentence-transformers' class that loads a saved folder, and those that such a folder may name
    #: as the one that wrote it.
    library_class: str
    written_by: tuple[str, ...] = ()
    #: Whether a checkpoint of plain transformers is of this kind, by its folder and configuration.
    #: The kinds are asked from the last to the first.
    is_checkpoint: Callable[[Path, Mapping[str, Any]], bool] = _no
    #: Whether a folder of another kind holds all the weights that one of this kind needs.
    held_by: Callable[[Path], bool] = _no
    #: The contract of an encoder's folder, made into one of this kind but for its name:
    #: ``(contract, llm)``.
    made_from: Callable[[Any, bool], Any]

    #: Gives each text one vector: can be indexed, and searches.
    encodes: bool = False
    #: Scores a query together with a document: can be a second stage, and re-rank.
    scores: bool = False
    #: Reads query and document as one text: their lengths add up, and neither has a prompt.
    reads_pairs: bool = False
    #: Gives a vector per token, compared by MaxSim.
    token_vectors: bool = False
    #: Reads pictures as well as texts.
    reads_pictures: bool = False
    #: Pools token embeddings: pooling, normalization and attention are a matter of its contract.
    pools: bool = False
    #: A script can be written that repeats a run (:mod:`workbench.takeaway.script`).
    scripted: bool = False

    #: The model card's front matter, and what it says of the model: $dimensions is filled in.
    tags: str
    description: str
    #: Python lines that use the model elsewhere (:mod:`workbench.takeaway.snippet`).
    snippet: str
    #: The kinds are shown by this, the lowest first.
    order: int = 100

    @property
    def noun(self) -> str:
        """The label with its article."""
        return f"{'an' if self.label[0] in 'aeiou' else 'a'} {self.label}"

    @property
    def first_stage(self) -> bool:
        """Whether it finds documents by their texts."""
        return self.encodes and not self.reads_pictures

    @property
    def task(self) -> str:
        """The task that trains one."""
        return f"train-{self.name}"

    def variant(self, **changes: Any) -> "ModelKind":
        """A kind like this one but for ``changes``. Its folders are told by their contract alone,
        and no script repeats its runs, as these could not know the difference."""
        own: dict[str, Any] = {"written_by": (), "is_checkpoint": _no, "held_by": _no, "order": 100}
        return replace(self, **{**own, "scripted": False, **changes})

    def load(self, where: str) -> Any:
        """What 'module:attribute' names."""
        module, attribute = where.split(":")
        return getattr(import_module(module), attribute)


class ModelKinds(Registry[ModelKind]):
    """The kinds in their order."""

    def all(self) -> tuple[ModelKind, ...]:
        return tuple(sorted(super().all(), key=lambda kind: kind.order))

    def names(self) -> tuple[str, ...]:
        return tuple(kind.name for kind in self.all())

    def named(self, which: Callable[[ModelKind], bool]) -> tuple[str, ...]:
        """The names of those for which it is true: ``named(lambda kind: kind.scores)``."""
        return tuple(kind.name for kind in self.all() if which(kind))


MODEL_KINDS = ModelKinds("kind of model", package="workbench.model_kinds", attribute="KIND")


def encoding() -> tuple[str, ...]:
    """The kinds that give each text one vector."""
    return MODEL_KINDS.named(lambda kind: kind.encodes)


def scoring() -> tuple[str, ...]:
    """The kinds that can be a second stage."""
    return MODEL_KINDS.named(lambda kind: kind.scores)


def first_stages() -> tuple[str, ...]:
    """The kinds that find documents by their texts."""
    return MODEL_KINDS.named(lambda kind: kind.first_stage)


def seeing() -> tuple[str, ...]:
    """The kinds that read pictures."""
    return MODEL_KINDS.named(lambda kind: kind.reads_pictures)
