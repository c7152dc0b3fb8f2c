"""What an evaluation leaves on disk, as Parquet: the run, the metrics of each query, and the
judgments they were measured by."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from workbench.data.reader import DatasetReader
from workbench.evaluation.files import QRELS_FILE, QUERIES_FILE, RUN_FILE
from workbench.evaluation.measure import Measured
from workbench.evaluation.pictures import Turned
from workbench.evaluation.pool import Rows


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
