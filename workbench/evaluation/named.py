"""What can be named where an evaluation asks for models: BM25 beside what the workspace resolves.

Light to import: the page and the command line check names with it.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.errors import BadInput
from workbench.models.resolve import ResolvedModel, resolve

if TYPE_CHECKING:
    from workbench.workspace import Workspace

#: First stages that are no models. 'auto' takes the data's own candidates where it has them.
AUTO, GIVEN, BM25 = "auto", "given", "bm25"


@dataclass(frozen=True, slots=True)
class Named:
    """A model as it was called; BM25 has nothing to resolve."""

    name: str
    resolved: ResolvedModel | None
    #: Whether it reads texts at the lengths of its own contract.
    own_lengths: bool = True

    @property
    def kind(self) -> str | None:
        """None for a model of the hub that is not on this machine yet."""
        if self.resolved is None:
            return BM25
        return self.resolved.contract.kind if self.resolved.contract else None


def find(workspace: "Workspace", name: str) -> Named:
    """Raises what :func:`workbench.models.resolve.resolve` raises; knows 'bm25'."""
    name = model_name(name)
    return Named(name, None if name == BM25 else resolve(workspace, name))


def model_name(name: str) -> str:
    """The name as rows carry it: BM25 has one spelling."""
    return BM25 if name.strip().lower() == BM25 else name


def first_stage_name(name: str) -> str:
    """'auto', 'given' and 'bm25' have one spelling; an empty name is 'auto'."""
    word = name.strip() or AUTO
    return word.lower() if word.lower() in (AUTO, GIVEN, BM25) else word


def no_first_stage(name: str) -> BadInput:
    """``name`` was asked to find candidates."""
    return BadInput(
        f"'{name}' cannot find candidates: it is not an embedding model.",
        "Choose 'auto', 'given', 'bm25', or an embedding model as the first stage.",
    )


def no_retriever(name: str) -> BadInput:
    """``name`` was asked to search all documents of a matrix."""
    return BadInput(
        f"'{name}' cannot search all documents: it is no embedding model.",
        "Name it among the rerankers, and 'bm25' or an embedding model as the retriever.",
    )


def no_second_stage(name: str) -> BadInput:
    """``name`` was asked to put candidates in order."""
    return BadInput(
        f"'{name}' cannot be a second stage: it is neither a reranker nor a late-interaction "
        "model.",
        "Name it among the models instead.",
    )


def no_search(name: str) -> BadInput:
    """``name`` was asked to search all documents."""
    return BadInput(
        f"'{name}' cannot search all documents: a reranker only puts candidates in order.",
        "Leave it out, or choose 'reranking' or 'pipeline' as the evaluation mode.",
    )


def no_order_of_pictures(name: str) -> BadInput:
    """``name`` was asked to order each query's own candidates, which are pictures."""
    return BadInput(
        f"'{name}' searches all pictures; it does not order a query's own candidates.",
        "Choose 'auto' or 'retrieval' as the evaluation mode.",
    )


def nothing_to_order() -> BadInput:
    """Second stages were named, but no model that finds documents for them."""
    return BadInput(
        "There is no first stage whose documents could be put in a new order.",
        "Name 'bm25' or an embedding model among the models.",
    )
