"""Puts what an evaluation measured on record: its files, then its row. Never overwritten."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from storage.records import Evaluation
from workbench.comparison.names import CORRELATIONS
from workbench.comparison.significance import (
    Comparison,
    compare,
    correct,
    second_stage_verdict,
    verdict,
)
from workbench.comparison.table import ALL_DOCUMENTS, LENGTHS, OWN_CANDIDATES, mode_of
from workbench.data.reader import DatasetReader
from workbench.evaluation.measure import Measured
from workbench.evaluation.named import BM25, GIVEN, Named
from workbench.evaluation.pairs import ScoredPairs
from workbench.evaluation.pictures import Turned
from workbench.evaluation.pool import Pool, Rows, excluding
from workbench.evaluation.registry import PAIRS_FILE, QRELS_FILE, QUERIES_FILE, RUN_FILE
from workbench.jobs.reporting import JobContext
from workbench.models.contract import Contract
from workbench.models.resolve import ResolvedModel
from workbench.recipes.evaluate import EvaluateRecipe

# One row of a comparison, and what the rows' differences are worth.


@dataclass(frozen=True, slots=True)
class Entry:
    """A model, or a first stage's own order, as it was measured."""

    name: str
    #: 'bm25', a model's kind, or 'first-stage' for an order as it came.
    kind: str
    searched: str
    #: The query rows of the run, and how many documents were searched or put in order.
    asked: Rows
    documents: int
    measured: Measured
    model: ResolvedModel | None = None
    #: For a second stage: the name of the first-stage row whose candidates it orders.
    against: str = ""
    #: Pictures were the queries: ``asked`` are rows of documents.
    turned: bool = False
    #: Of lists longer than the metrics look: see ``full_list_map``.
    whole: dict[str, float] = field(default_factory=dict)
    #: What :func:`workbench.evaluation.pool.excluding` says of the queries asked.
    excluding: Mapping[str, int] = field(default_factory=dict)
    #: The model's own, by the contract it was used with; {} where no model has a part.
    lengths: Mapping[str, int] = field(default_factory=dict)
    #: Whether these are the lengths of the model's own contract.
    own_lengths: bool = True
    #: Per query, by stage; {} where that was not asked for.
    milliseconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def evaluation_mode(self) -> str:
        """Rows of different modes are never ranked against each other."""
        return mode_of(self.searched)

    def row(self) -> dict[str, Any]:
        """The entry in ``evaluate``'s JSON."""
        scores = self.measured.scores
        about: dict[str, Any] = {"model": self.name, "queries": len(scores.queries)}
        about["clusters"] = len(np.unique(scores.clusters))
        about |= {
            "searched": self.searched,
            "evaluation_mode": self.evaluation_mode,
            "kind": self.kind,
        }
        return {**about, **self.lengths, **scores.means(), **self.whole}


def searched_entry(
    named: Named, contract: Contract | None, pool: Pool, measured: Measured
) -> Entry:
    """The row of what searched all documents of the pool. ``contract``: None for BM25."""
    return Entry(
        name=named.name,
        kind=BM25 if contract is None else contract.kind,
        searched=ALL_DOCUMENTS,
        asked=pool.queries,
        documents=pool.documents,
        measured=measured,
        model=named.resolved,
        excluding=excluding(pool),
        lengths={} if contract is None else lengths_of(contract),
        own_lengths=named.own_lengths,
    )


def lengths_of(contract: Contract) -> dict[str, int]:
    """After how many tokens a model cuts queries and documents: a row says it."""
    return {name: getattr(contract, name) for name in LENGTHS}


def order_name(origin: str, k: int) -> str:
    """What the row of a first stage's own order is called."""
    return "given order" if origin == GIVEN else f"{origin}, first {k}"


def searched_words(origin: str, k: int) -> str:
    """What a second stage looked at, in words."""
    return OWN_CANDIDATES if origin == GIVEN else f"top {k} of {origin}"


def comparisons(
    entries: Sequence[Entry], reference: str, *, metric: str, seed: int
) -> list[dict[str, Any]]:
    """Second stages against their first stage, the other models against the reference; those that
    were measured in another mode, against the first of theirs.

    All of them are one family: what each is worth is judged by its p-value after Holm's correction,
    and the interval is widened with it. Queries that share relevant documents count as one.
    """
    named = {entry.name: entry for entry in entries}
    first = _first_of_each_mode(entries, reference)
    found: list[tuple[Entry, str, Comparison]] = []
    for entry in entries:
        if entry.kind == "first-stage":
            continue
        against = named[entry.against or first[entry.evaluation_mode]]
        if against is entry:
            continue
        result = _compare(entry.measured, against.measured, metric, seed)
        if result is not None:
            found.append((entry, against.name, result))
    corrected = correct([result.p_value for _, _, result in found])
    return [
        {
            **result.row(entry.name, against, metric, judged),
            "queries": result.queries,
            "clusters": result.clusters,
            "second_stage": bool(entry.against),
            "verdict": (second_stage_verdict if entry.against else verdict)(
                result.delta, judged.p_value, result.queries, clusters=result.clusters
            ),
        }
        for (entry, against, result), judged in zip(found, corrected, strict=True)
    ]


def _first_of_each_mode(entries: Sequence[Entry], reference: str) -> dict[str, str]:
    """By evaluation mode, the row that its others are compared with: the reference if it can."""
    found: dict[str, str] = {}
    for entry in entries:
        if entry.kind != "first-stage" and not entry.against:
            if entry.name == reference:
                found[entry.evaluation_mode] = entry.name
            found.setdefault(entry.evaluation_mode, entry.name)
    return found


def _compare(one: Measured, other: Measured, metric: str, seed: int) -> Comparison | None:
    """On the queries both were asked; a data set's own candidates may leave some out."""
    _, mine, theirs = np.intersect1d(
        one.scores.queries, other.scores.queries, assume_unique=True, return_indices=True
    )
    if not len(mine):
        return None
    values, against = one.scores.values[metric][mine], other.scores.values[metric][theirs]
    return compare(values, against, seed=seed, clusters=one.scores.clusters[mine])


# What an evaluation leaves on disk, as Parquet: the run, the metrics of each query, and the
# judgments they were measured by.


def save_measured(
    folder: Path,
    reader: DatasetReader | Turned,
    split: str,
    model: str,
    asked: Rows,
    measured: Measured,
) -> None:
    """Write ``run.parquet`` (query, rank, document, score, model), ``queries.parquet`` (query, one
    column per metric) and ``qrels.parquet`` (query, document, grade). ``asked`` (n,): the run's
    query rows. Rows refer to the data set version; ids stand beside them for people, and for other
    tools (``trec``)."""
    ids = _query_ids(reader)
    scores = measured.scores
    per_query = {"query": scores.queries, "query_id": ids.take(pa.array(scores.queries))}
    pq.write_table(pa.table({**per_query, **scores.values}), folder / QUERIES_FILE)
    pq.write_table(judged(reader, split, scores.queries), folder / QRELS_FILE)
    run = _run_table(reader, asked, measured, ids)
    names = pa.DictionaryArray.from_arrays(np.zeros(run.num_rows, np.int32), [model])
    pq.write_table(run.append_column("model", names), folder / RUN_FILE)


def judged(reader: DatasetReader | Turned, split: str, queries: Rows) -> pa.Table:
    """The judgments of these query rows, of any grade, with ids beside the rows."""
    table = reader.judgments(split).select(["query", "document", "grade"])
    table = table.filter(pc.is_in(table["query"], pa.array(queries)))
    documents, places = np.unique(table["document"].to_numpy(), return_inverse=True)
    document_ids = reader.documents_at(documents.tolist(), ["id"])["id"]
    return table.append_column("query_id", _query_ids(reader).take(table["query"])).append_column(
        "document_id", pc.take(document_ids, pa.array(places))
    )


def _run_table(
    reader: DatasetReader | Turned, asked: Rows, measured: Measured, ids: pa.Array
) -> pa.Table:
    run = measured.run
    found = run.documents >= 0
    depth = run.documents.shape[1]
    queries = np.repeat(asked, depth).reshape(run.documents.shape)[found]
    ranks = np.broadcast_to(np.arange(1, depth + 1), run.documents.shape)[found]
    documents = run.documents[found]
    unique, places = np.unique(documents, return_inverse=True)
    document_ids = reader.documents_at(unique.tolist(), ["id"])["id"]
    columns = {
        "query": queries,
        "query_id": ids.take(pa.array(queries)).dictionary_encode(),
        "rank": ranks.astype(np.int32),
        "document": documents,
        "document_id": pc.take(document_ids, pa.array(places)),
        "score": run.scores[found],
    }
    return pa.table(columns)


def _query_ids(reader: DatasetReader | Turned) -> pa.Array:
    """The ids of all queries by row."""
    table = reader.queries().sort_by("row")
    column = table["id"]
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def record_entry(
    recipe: EvaluateRecipe,
    context: JobContext,
    reader: DatasetReader | Turned,
    entry: Entry,
    **about: Any,
) -> Evaluation:
    """A row of the table: the run, the metrics of each query, the judgments."""
    # A model alone is known by its own name, whatever it was called; a row that a first stage has
    # a part in by both.
    model = entry.model.name if entry.model and not entry.against else entry.name

    def write(folder: Path) -> None:
        save_measured(folder, reader, recipe.split, model, entry.asked, entry.measured)

    return _add(
        recipe,
        context,
        reader,
        write,
        name=model,
        model=entry.model,
        queries=len(entry.measured.scores.queries),
        documents=entry.documents,
        metrics=entry.measured.scores.means(),
        about={
            "row": entry.name,
            "kind": entry.kind,
            "searched": entry.searched,
            **entry.excluding,
            **_lengths(entry),
            **about,
        },
    )


def _lengths(measured: Entry | ScoredPairs) -> dict[str, Any]:
    """What a record says of the lengths; of those that are the model's own, the numbers alone."""
    return {**measured.lengths, **({} if measured.own_lengths else {"own_lengths": False})}


def record_pairs(
    recipe: EvaluateRecipe,
    context: JobContext,
    reader: DatasetReader,
    scored: ScoredPairs,
    row: Mapping[str, Any],
) -> Evaluation:
    """One model's score of each pair beside the given one. ``row``: what the scores came to."""

    def write(folder: Path) -> None:
        columns = {"given": scored.given, "score": scored.scores}
        pq.write_table(pa.table(columns), folder / PAIRS_FILE)

    return _add(
        recipe,
        context,
        reader,
        write,
        name=scored.model.name,
        model=scored.model,
        queries=0,
        documents=0,
        metrics={name: row[name] for name in CORRELATIONS},
        about={
            "row": scored.name,
            "kind": scored.kind,
            "pairs": len(scored.given),
            **_lengths(scored),
        },
    )


def _add(
    recipe: EvaluateRecipe,
    context: JobContext,
    reader: DatasetReader | Turned,
    write: Callable[[Path], None],
    *,
    name: str,
    model: ResolvedModel | None,
    queries: int,
    documents: int,
    metrics: dict[str, float],
    about: dict[str, Any],
) -> Evaluation:
    workspace = context.workspace
    id, folder = workspace.evaluations.new_folder()
    write(folder)
    # With the data set's name, for when the data set is gone and its id says nothing.
    # The lengths are those of the row, wherever they come from.
    settings = recipe.model_dump(mode="json", exclude={"models", *LENGTHS})
    return workspace.evaluations.add(
        Evaluation(
            id=id,
            job_id=context.job.id,
            dataset_id=workspace.datasets.get(recipe.dataset).id,
            version=reader.version,
            split=recipe.split,
            model=name,
            model_id=model.model_id if model else None,
            queries=queries,
            documents=documents,
            metrics=metrics,
            settings={**settings, **about},
            path=folder.relative_to(workspace.home).as_posix(),
            created_at=time.time(),
        )
    )
