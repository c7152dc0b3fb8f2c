"""Models measured at other lengths than their own.

A trained model may read less or more of each text than its base does. Then the difference between
the two is partly that of the length; what training did is seen beside the base at the same length.
Torch-free: the page offers such rows, and a worker measures them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from workbench.comparison.table import LENGTHS
from workbench.errors import BadInput, WorkbenchError
from workbench.evaluation.named import Named
from workbench.models.inspect import inspect_folder
from workbench.models.locate import LocalModel, locate
from workbench.models.resolve import resolve
from workbench.models.rules import Rules

if TYPE_CHECKING:
    from workbench.workspace import Workspace

#: Tokens of a query, and of a document.
Lengths = tuple[int, int]


def row_name(model: str, own: Lengths, at: Lengths) -> str:
    """What the row of a model is called that was read at other lengths than its own: 'base at 128
    tokens' where the documents' alone differ, else 'base at 64 / 128 tokens'."""
    if own == at:
        return model
    query, document = at
    shown = f"{document:,}" if own[0] == query else f"{query:,} / {document:,}"
    return f"{model} at {shown} tokens"


def read_at(workspace: "Workspace", named: Named, query: int | None, document: int | None) -> Named:
    """The model as it is measured at these lengths, under its row's name; None keeps its own.

    No model reads more tokens than it has positions for. A model of the hub is downloaded. BM25
    truncates nothing.
    """
    if named.resolved is None or (query is None and document is None):
        return named
    model = locate(workspace, named.resolved)
    own = _lengths(model)
    most = _limit(model)
    wanted = (query or own[0], document or own[1])
    at = (min(wanted[0], most or wanted[0]), min(wanted[1], most or wanted[1]))
    if at == own:
        return named
    contract = model.contract.model_copy(update=dict(zip(LENGTHS, at, strict=True)))
    name = row_name(model.name, own, at)
    return Named(name, replace(model, name=name, contract=contract), own_lengths=False)


def bases(workspace: "Workspace", trained: Sequence[str]) -> list[Named]:
    """The base of each of these models, read at the trained one's lengths; each once. One whose own
    lengths these are stands as it is. Raises what :func:`base_of` does, and
    :class:`workbench.errors.ModelNotFound` where the base is gone."""
    found: dict[str, Named] = {}
    for name in trained:
        base = base_of(workspace, name)
        at = _lengths(locate(workspace, name))
        row = read_at(workspace, Named(base, resolve(workspace, base)), *at)
        found.setdefault(row.name, row)
    return list(found.values())


def base_of(workspace: "Workspace", name: str) -> str:
    """What a model was trained from, by name; raises :class:`BadInput` where that is not known."""
    contract = resolve(workspace, name).contract
    recorded = workspace.models.get(name).base if workspace.models.exists(name) else None
    base = recorded or (contract.base_model if contract else "")
    if not base:
        raise BadInput(
            f"It is not on record which base '{name}' was trained from.",
            "Name a model that was trained here.",
        )
    return str(base)


def offers(workspace: "Workspace", result: Mapping[str, Any]) -> dict[str, str]:
    """Of a result of ``evaluate``: the rows of trained models whose base reads texts at other
    lengths, and what the row of the base at theirs would be called. Without those that are there.
    """
    rows = {str(row["model"]): row for row in result.get("rows") or ()}
    found = {}
    for name, row in rows.items():
        if all(row.get(one) for one in LENGTHS) and workspace.models.exists(name):
            beside = _offer(workspace, name, (int(row[LENGTHS[0]]), int(row[LENGTHS[1]])))
            if beside and beside not in rows:
                found[name] = beside
    return found


def _offer(workspace: "Workspace", name: str, at: Lengths) -> str:
    """The name of that row; '' where there is none to measure."""
    try:
        base = resolve(workspace, base_of(workspace, name))
    except WorkbenchError:
        return ""
    if base.contract is None:
        return ""
    own = (base.contract.query_max_len, base.contract.passage_max_len)
    return "" if own == at else row_name(base.name, own, at)


def _lengths(model: LocalModel) -> Lengths:
    return model.contract.query_max_len, model.contract.passage_max_len


def _limit(model: LocalModel) -> int | None:
    base = model.base.folder if model.base else None
    return Rules(inspect_folder(model.folder), model.contract, base=base).limit
