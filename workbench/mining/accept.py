"""A proposal becomes the data set's next version. Torch-free."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workbench.data.edit import Changes, keys_of
from workbench.data.reader import DatasetReader
from workbench.data.versions import new_version
from workbench.errors import BadInput
from workbench.evaluation.own_document import query_itself
from workbench.mining.proposal import NEGATIVE, POSITIVE, Proposal, proposal_of
from workbench.recipes.mine import MINED, MineRecipe

if TYPE_CHECKING:
    from workbench.workspace import Workspace


def accept(workspace: "Workspace", job_id: str) -> int:
    """The number of the new version, which holds what is ticked.

    Raises :class:`BadInput` where it was accepted before, where nothing is ticked, and where the
    data set's queries or documents have changed since: row numbers would mean others.
    """
    proposal = proposal_of(workspace, job_id)
    proposal.refuse_accepted()
    recipe = MineRecipe.read(proposal.job.recipe)
    reader = workspace.datasets.read(recipe.dataset)
    _refuse_changed(proposal, reader)
    table = _without_itself(_kept(proposal), reader)
    negatives = int(pc.sum(_is(table, NEGATIVE)).as_py() or 0)
    if not negatives:
        raise BadInput(
            "No negative is left to accept.", "Take some back in, or mine with smaller margins."
        )
    dropped = _dropped(proposal, recipe, reader)
    added = _as_known(_candidates(table, recipe), reader, dropped)
    changes = Changes(candidates=added, drop_candidates=dropped)
    how = {
        "what": f"{negatives:,} negatives mined by {recipe.origin.removeprefix(MINED)}"
        + (f", scored by {recipe.reranker}" if recipe.reranker else ""),
        "by": recipe.task,
        "recipe": proposal.job.recipe,
        "job": proposal.job.id,
        "counts": {
            "negatives": negatives,
            "left_out": len(proposal.unticked),
            "earlier_removed": len(dropped),
        },
    }
    return new_version(workspace, recipe.dataset, changes, how, base_version=reader.version)


def _refuse_changed(proposal: Proposal, now: DatasetReader) -> None:
    if proposal.outdated:
        raise BadInput(
            f"'{now.name}' has other queries or documents since (version "
            f"{proposal.result['version']} then, {now.version} now).",
            "Mine again.",
        )


def _kept(proposal: Proposal) -> pa.Table:
    """The proposal's rows without what was unticked."""
    gone = np.array(sorted(proposal.unticked), np.int64).reshape(-1, 2)
    table = proposal.table
    keys = keys_of(table["query"].to_numpy(), table["document"].to_numpy())
    free = ~np.isin(keys, keys_of(gone[:, 0], gone[:, 1]))
    return table.filter(pa.array(free | ~_is(table, NEGATIVE).to_numpy()))


def _without_itself(table: pa.Table, reader: DatasetReader) -> pa.Table:
    """Without negatives that are their query itself, which earlier versions proposed."""
    links = [
        (query, document)
        for query, own in query_itself(reader, reader.queries()).items()
        for document in own
    ]
    own = np.array(links, np.int64).reshape(-1, 2)
    keys = keys_of(table["query"].to_numpy(), table["document"].to_numpy())
    same = np.isin(keys, keys_of(own[:, 0], own[:, 1]))
    return table.filter(pa.array(~same | ~_is(table, NEGATIVE).to_numpy()))


def _candidates(table: pa.Table, recipe: MineRecipe) -> pa.Table:
    """As the data set keeps them: scores only where a teacher gave them to positives as well, and
    positives only where they have one."""
    if not recipe.teacher:
        table = table.filter(_is(table, NEGATIVE))
        return table.select(["query", "document", "origin", "rank"])
    unscored = pc.and_(_is(table, POSITIVE), pc.is_null(table["score"]))
    table = table.filter(pc.invert(unscored))
    return table.select(["query", "document", "origin", "rank", "score"])


def _as_known(table: pa.Table, reader: DatasetReader, dropped: Any) -> pa.Table:
    """With the old origin where a document is its query's candidate already and stays: what the
    data brought must not go with the next mining."""
    old = reader.candidates()
    keys = keys_of(old["query"].to_numpy(), old["document"].to_numpy())
    stays = np.flatnonzero(~np.isin(keys, keys_of(dropped[:, 0], dropped[:, 1])))
    stays = stays[np.argsort(keys[stays], kind="stable")]
    mine = keys_of(table["query"].to_numpy(), table["document"].to_numpy())
    if not len(stays):
        return table
    place = np.minimum(np.searchsorted(keys[stays], mine), len(stays) - 1)
    known = keys[stays][place] == mine
    origins = old["origin"].take(pa.array(stays[place])).cast(pa.string())
    at = table.schema.get_field_index("origin")
    merged = pc.if_else(pa.array(known), origins, table["origin"])
    return table.set_column(at, "origin", merged)


def _dropped(proposal: Proposal, recipe: MineRecipe, reader: DatasetReader) -> Any:
    """(query, document) of the earlier candidates that make room, of the queries that were asked
    only."""
    if recipe.earlier == "keep":
        return np.zeros((0, 2), np.int64)
    table = reader.candidates()
    goes = np.isin(table["query"].to_numpy(), proposal.queries())
    if recipe.earlier == "replace":
        goes &= pc.fill_null(pc.starts_with(table["origin"], MINED), False).to_numpy()
    table = table.filter(pa.array(goes))
    return np.stack([table["query"].to_numpy(), table["document"].to_numpy()], axis=1)


def _is(table: pa.Table, part: str) -> Any:
    return pc.equal(table["part"].cast(pa.string()), part)
