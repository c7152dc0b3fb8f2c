"""Which models are served, under which names, and for what. Torch-free."""

import difflib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from workbench.errors import BadInput, ModelNotFound, ModelUnusable, WorkbenchError
from workbench.model_kinds import MODEL_KINDS, scoring
from workbench.models.resolve import ResolvedModel, resolve
from workbench.search.client import SearchClient
from workbench.search.protocol import Role
from workbench.workspace import Workspace

log = logging.getLogger(__name__)

OWNER = "retrieval-workbench"
#: After a model's name, what the texts are: for clients that cannot send ``input_type``.
SUFFIXES: dict[str, Role] = {":query": "query", ":document": "document"}


@dataclass(frozen=True, slots=True)
class Served:
    """One model: ``name`` is what clients call it, ``known`` what the engine finds it by; ``kind``
    is '' for a hub model that is not on this machine yet."""

    name: str
    known: str
    kind: str
    dimensions: int
    normalize: bool
    created: int
    #: Whether it is a language model, or may be one.
    slow: bool = False

    @property
    def embeds(self) -> bool:
        return self.kind not in scoring()

    @property
    def reranks(self) -> bool:
        return self.kind in (*scoring(), "")

    @property
    def bounded(self) -> bool:
        """Whether its scores are logits, which are probabilities; MaxSim's are not."""
        return self.kind not in MODEL_KINDS.named(lambda kind: kind.token_vectors)

    def about(self) -> dict[str, Any]:
        """As OpenAI lists a model, and what it is besides."""
        return {
            "id": self.name,
            "object": "model",
            "created": self.created,
            "owned_by": OWNER,
            "kind": self.kind or None,
            "dimensions": self.dimensions or None,
        }


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The served models, in the order they were named."""

    models: tuple[Served, ...]

    @classmethod
    def choose(cls, workspace: Workspace, names: Sequence[str]) -> "Catalogue":
        """Raises what :func:`resolve` raises, and :class:`BadInput` for two of one name."""
        found = [_served(workspace, name, resolve(workspace, name)) for name in names]
        for at, one in enumerate(found):
            if any(one.name == other.name for other in found[:at]):
                raise BadInput(f"Two models to be served are named '{one.name}'.", "Name one.")
        return cls(tuple(found))

    def get(self, name: str) -> Served:
        """The model of that name; raises :class:`ModelNotFound` with the names there are."""
        names = [one.name for one in self.models]
        if name in names:
            return self.models[names.index(name)]
        close = difflib.get_close_matches(name, names, n=1)
        meant = f" Did you mean '{close[0]}'?" if close else ""
        raise ModelNotFound(
            f"The model '{name}' is not served here.{meant}", f"Served: {', '.join(names)}."
        )

    def warm(self, search: SearchClient) -> dict[str, WorkbenchError]:
        """Load every model; what asking those that failed would raise, by their names."""
        failed = {}
        for one in self.models:
            try:
                _warm(one, search)
            except WorkbenchError as error:
                failed[one.name] = error
        return failed

    def split(self, name: str) -> tuple[str, Role | None]:
        """A model's name as a client wrote it, and the role its suffix gives."""
        if any(name == one.name for one in self.models):
            return name, None
        for suffix, role in SUFFIXES.items():
            if name.endswith(suffix):
                return name.removesuffix(suffix), role
        return name, None

    def embedder(self, name: str) -> Served:
        """Raises :class:`ModelNotFound`, or :class:`ModelUnusable` for one that only reranks."""
        found = self.get(name)
        if not found.embeds:
            raise ModelUnusable(
                f"'{name}' is a {found.kind} model and gives no vectors.", "Ask it to rerank."
            )
        return found

    def reranker(self, name: str) -> Served:
        """Raises :class:`ModelNotFound`, or :class:`ModelUnusable` for one that only embeds."""
        found = self.get(name)
        if not found.reranks:
            raise ModelUnusable(
                f"'{name}' is an {found.kind} model and cannot rerank.",
                "Choose a reranker or a late-interaction model.",
            )
        return found


def _warm(one: Served, search: SearchClient) -> None:
    if one.embeds:
        try:
            search.embed(one.known, ["warm"])
        except ModelUnusable:
            # Of what nobody knows yet it may be the other kind.
            if not one.reranks:
                raise
        else:
            _measure(one, search)
            return
    search.rerank(one.known, "warm", ["warm"])


def _measure(one: Served, search: SearchClient) -> None:
    """Find out what computes its texts; where that fails, it is served all the same."""
    try:
        search.warm_served(one.known)
    except WorkbenchError as error:
        log.warning("What computes '%s' the fastest could not be measured: %s", one.name, error)


def _served(workspace: Workspace, given: str, found: ResolvedModel) -> Served:
    contract = found.contract
    record = workspace.models.get(found.model_id) if found.model_id else None
    return Served(
        name=found.name,
        known=found.model_id or (found.source if found.local else given.strip()),
        kind=contract.kind if contract else "",
        dimensions=contract.dimensions if contract else 0,
        normalize=contract.normalize if contract else True,
        slow=contract is None or contract.architecture == "llm",
        created=int(record.created_at if record else time.time()),
    )
