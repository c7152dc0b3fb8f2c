"""The task 'data-resplit': which queries are train, dev and test, decided anew.

Whatever goes by chance goes in groups: queries of one text are never parted, nor, by 'document',
queries that share something relevant, directly or through others.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from workbench.data import digests
from workbench.data.edit import Changes
from workbench.data.edit_plan import split_codes
from workbench.data.parts import SPLITS
from workbench.data.reader import DatasetReader
from workbench.data.resplit_field import by_field
from workbench.data.splits import CODES, DEV, TEST, TRAIN, seated
from workbench.data.versions import new_version
from workbench.errors import BadInput
from workbench.jobs.context import JobContext
from workbench.recipes.data_change import ResplitRecipe

Array = np.ndarray[Any, Any]
Check = Callable[[], None]


def run(recipe: ResplitRecipe, context: JobContext) -> dict[str, Any]:
    """Make the new version; returns its number and counts. Raises :class:`BadInput`."""
    workspace = context.workspace
    reader = workspace.datasets.read(recipe.dataset, recipe.dataset_version)
    changes = resplit(reader, recipe, context.check_cancelled)
    moved = len(changes.move_queries) + len(changes.move_pairs)
    how = {
        "what": f"split again by {recipe.field if recipe.by == 'field' else recipe.by}",
        "by": recipe.task,
        "recipe": recipe.model_dump(mode="json"),
        "job": context.job.id,
        "counts": {"moved": moved},
    }
    number = new_version(workspace, recipe.dataset, changes, how, context, reader.version)
    made = workspace.datasets.read(recipe.dataset, number)
    return {
        "dataset": reader.name,
        "version": number,
        "moved": moved,
        "splits": made.counts["splits"],
        "pair_splits": made.summary.get("pair_splits"),
    }


def resplit(reader: DatasetReader, recipe: ResplitRecipe, check: Check) -> Changes:
    """Who moves; raises :class:`BadInput` where nobody can."""
    if recipe.dev_share + recipe.test_share >= 1:
        raise BadInput("Nothing would be left to train on.", "Set smaller shares.")
    if recipe.by == "field":
        return _field_changes(reader, recipe, check)
    if not reader.counts["queries"] + reader.counts["pairs"]:
        raise BadInput(f"'{reader.name}' has no queries to split.", "Add queries first.")
    queries, pairs = {}, {}
    if reader.counts["queries"]:
        groups = _query_groups(reader, recipe.by == "document", check)
        queries = _moved(_old(reader), _dealt(reader, groups, recipe))
    if reader.counts["pairs"]:
        table = reader.pairs()
        pairs = _moved(
            _old_pairs(table), _deal(_pair_groups(table, recipe.by == "document"), recipe)
        )
    return Changes(move_queries=queries, move_pairs=pairs)


def _field_changes(reader: DatasetReader, recipe: ResplitRecipe, check: Check) -> Changes:
    """By a column of the queries, of their documents, or of scored pairs."""
    found = by_field(reader, recipe, check)
    table = reader.pairs()
    return Changes(
        move_queries=_moved(_old(reader), found.queries) if found.queries is not None else {},
        move_pairs=_moved(_old_pairs(table), found.pairs) if found.pairs is not None else {},
    )


def _old_pairs(table: pa.Table) -> Array:
    return np.array([CODES[split] for split in table["split"].to_pylist()], np.int64)


def _old(reader: DatasetReader) -> Array:
    return split_codes({name: reader.manifest.splits[name] for name in SPLITS})


def _moved(old: Array, new: Array) -> dict[int, str]:
    names = {code: name for name, code in CODES.items()}
    return {row: names[int(new[row])] for row in np.flatnonzero(old != new).tolist()}


# -- groups that stay together ---------------------------------------------------------------


def _query_groups(reader: DatasetReader, by_document: bool, check: Check) -> Array:
    groups = _text_groups(table["text"] for table in reader.iter_queries())
    if not by_document:
        return groups
    documents = reader.counts["documents"]
    links = [(groups, np.full(len(groups), -1))]
    for edges in reader.iter_edges("judgments"):
        check()
        relevant = edges["grade"].to_numpy() > 0
        queries = edges["query"].to_numpy()[relevant]
        links.append((groups[queries], edges["document"].to_numpy()[relevant]))
    left, right = (np.concatenate(side) for side in zip(*links, strict=True))
    return _components(left[right >= 0], right[right >= 0], len(groups), documents)[groups]


def _pair_groups(table: pa.Table, by_document: bool) -> Array:
    """Pairs of one left text stay together, and a pair with its mirror image; by document all
    that share a text on either side."""
    both = _text_groups([table["left"], table["right"]])
    left, right = both[: table.num_rows], both[table.num_rows :]
    if by_document:
        return _components(left, right, len(both), len(both), same=True)[left]
    low, high = np.minimum(left, right), np.maximum(left, right)
    _, mirrored = np.unique(np.stack([low, high], axis=1), axis=0, return_inverse=True)
    return _components(left, mirrored.ravel(), len(both), table.num_rows)[left]


def _text_groups(columns: Any) -> Array:
    """A number for each text, the same for equal texts."""
    known, found, rows = digests.DigestRows(), [np.zeros(0, np.int64)], 0
    for column in columns:
        for chunk in column.chunks:
            numbers, _ = known.resolve(digests.of_strings(chunk), rows)
            rows = max(rows, int(numbers.max(initial=-1)) + 1)
            found.append(numbers)
    return np.concatenate(found)


def _components(left: Array, right: Array, lefts: int, rights: int, same: bool = False) -> Array:
    """The connected component of each left number; both sides are one kind where ``same``."""
    size = lefts if same else lefts + rights
    ones = np.ones(len(left), np.int8)
    graph = coo_array((ones, (left, right if same else right + lefts)), shape=(size, size))
    return np.asarray(connected_components(graph, directed=False)[1][:lefts])


def _dealt(reader: DatasetReader, groups: Array, recipe: ResplitRecipe) -> Array:
    """The new split of each query: dealt among those that have something relevant."""
    relevant = np.zeros(len(groups), bool)
    for edges in reader.iter_edges("judgments"):
        relevant[edges["query"].to_numpy()[edges["grade"].to_numpy() > 0]] = True
    codes = _old(reader)
    codes[relevant] = _deal(groups[relevant], recipe)
    return seated(codes, groups, relevant)


def _deal(groups: Array, recipe: ResplitRecipe) -> Array:
    """Groups by chance to test and dev, as long as they fit; the rest, and what is too large,
    trains."""
    names, place, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    codes = np.full(len(names), TRAIN)
    room = {TEST: recipe.test_share * len(groups), DEV: recipe.dev_share * len(groups)}
    room = {code: round(most) for code, most in room.items()}
    for group in np.random.default_rng(recipe.seed).permutation(len(names)).tolist():
        for code in room:
            if sizes[group] <= room[code]:
                room[code] -= int(sizes[group])
                codes[group] = code
                break
        if not any(room.values()):
            break
    if (codes == TRAIN).all() and recipe.test_share + recipe.dev_share > 0:
        raise BadInput(
            "These queries cannot be parted: too many of them belong together.",
            "Split by query, or set larger shares.",
        )
    return np.asarray(codes[place])
