"""The shapes other tools read, each as a function that writes one split, and what it can hold."""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.data.export_files import Delimited, JsonLines, JsonObject, table_sink
from workbench.data.export_held import REPEATED
from workbench.data.export_pictures import split_pictures
from workbench.data.export_rows import QueryRow, joined, query_rows
from workbench.data.export_scored import OWN, Pair, Scale
from workbench.data.reader import DatasetReader
from workbench.jobs.context import JobContext

#: Columns of sentence-transformers' tables.
ANCHOR, POSITIVE, NEGATIVE = "anchor", "positive", "negative"


@dataclass(slots=True)
class Job:
    """One export. ``files`` counts rows by file; ``lost`` what a shape found no place for."""

    reader: DatasetReader
    context: JobContext
    folder: Path
    splits: list[str]
    file_type: str
    files: dict[str, int] = field(default_factory=dict)
    lost: Counter[str] = field(default_factory=Counter)
    #: Of scored pairs: whose scores.
    scale: Scale = field(default_factory=lambda: Scale(OWN))

    def rows(self, split: str) -> Any:
        return query_rows(self.reader, split, self.context)


@dataclass(frozen=True, slots=True)
class Shape:
    """``holds`` names what of :data:`workbench.data.export_held.SAID` has a place in it."""

    write: Callable[[Job], None]
    suffix: str
    holds: frozenset[str]
    #: Whether rows may be JSONL, CSV or Parquet.
    typed: bool = False


def flagembedding(job: Job) -> None:
    """``query, pos, neg``, with scores where all of a row's texts have one, and prompts."""
    for split in job.splits:
        sink = JsonLines(job.folder / f"{split}.jsonl")
        for row in job.rows(split):
            if not row.positives:
                continue
            record: dict[str, Any] = {"query": row.text}
            record["pos"] = [one.text for one in row.positives]
            record["neg"] = [one.text for one in row.others]
            if row.complete:
                record["pos_scores"] = [one.score for one in row.positives]
                record["neg_scores"] = [one.score for one in row.others]
            else:
                job.lost["partial_scores"] += _scored(row)
            if row.prompt:
                record["prompt"] = row.prompt
            sink.write(record)
        _close(job, sink, f"{split}.jsonl")


def pairs(job: Job) -> None:
    """``anchor, positive``: a row for each relevant document."""
    for split in job.splits:
        name = f"{split}.{job.file_type}"
        sink = table_sink(job.folder / name, (ANCHOR, POSITIVE))
        for row in job.rows(split):
            for one in row.positives:
                sink.write({ANCHOR: row.text, POSITIVE: one.text})
        _close(job, sink, name)


def triplets(job: Job) -> None:
    """``anchor, positive, negative``: each positive and each negative in one row at least."""
    for split in job.splits:
        name = f"{split}.{job.file_type}"
        sink = table_sink(job.folder / name, (ANCHOR, POSITIVE, NEGATIVE))
        for row in job.rows(split):
            good, bad = row.positives, row.others
            if not good or not bad:
                job.lost["bare"] += bool(good)
                continue
            for place in range(max(len(good), len(bad))):
                positive, negative = good[place % len(good)], bad[place % len(bad)]
                sink.write({ANCHOR: row.text, POSITIVE: positive.text, NEGATIVE: negative.text})
        _close(job, sink, name)


def scored(job: Job) -> None:
    """``sentence1, sentence2, score``: its own scored pairs, or made of its queries."""
    scale = job.scale
    for split in job.splits:
        name = f"{split}.{job.file_type}"
        sink = table_sink(job.folder / name, ("sentence1", "sentence2", "score"), "score")
        for left, right, score in _scored_rows(job, split):
            sink.write({"sentence1": left, "sentence2": right, "score": score})
        _close(job, sink, name)
        if scale.source != OWN:
            job.lost["own_pairs"] += job.reader.pairs(split).num_rows


def _scored_rows(job: Job, split: str) -> Iterator[Pair]:
    if job.scale.source != OWN:
        for row in job.rows(split):
            job.lost.update(job.scale.lost(row))
            yield from job.scale.pairs(row)
        return
    for batch in job.reader.pairs(split).to_batches(10_000):
        job.context.check_cancelled()
        for one in batch.to_pylist():
            yield one["left"], one["right"], one["score"]


def beir(job: Job) -> None:
    """``corpus.jsonl``, ``queries.jsonl`` and ``qrels/SPLIT.tsv``."""
    corpus = JsonLines(job.folder / "corpus.jsonl")
    for table in job.reader.iter_documents():
        job.context.check_cancelled()
        for row in table.to_pylist():
            about = json.loads(row["fields"]) if row["fields"] else {}
            record = {"_id": row["id"], "title": row["title"] or "", "text": row["text"]}
            corpus.write({**record, "metadata": about})
    _close(job, corpus, "corpus.jsonl")
    queries = JsonLines(job.folder / "queries.jsonl")
    (job.folder / "qrels").mkdir()
    for split in job.splits:
        name = f"qrels/{split}.tsv"
        qrels = Delimited(job.folder / name, ("query-id", "corpus-id", "score"), "\t")
        for row in job.rows(split):
            prompt = {"prompt": row.prompt} if row.prompt else {}
            queries.write({"_id": row.id, "text": row.text, **prompt, "metadata": row.fields})
            for one in [*row.positives, *(other for other in row.others if other.judged)]:
                record = {"query-id": row.id, "corpus-id": one.id, "score": one.grade}
                qrels.write(record)
        _close(job, qrels, name)
    _close(job, queries, "queries.jsonl")


def llamaindex(job: Job) -> None:
    """``queries, corpus, relevant_docs`` in one JSON object for each split."""
    for split in job.splits:
        name = f"{split}.json"
        sink = JsonObject(job.folder / name)
        sink.begin("queries")
        for table in job.reader.iter_queries(split):
            for id, text in zip(table["id"].to_pylist(), table["text"].to_pylist(), strict=True):
                sink.member(id, text)
                sink.rows += 1
        sink.end()
        sink.begin("corpus")
        for table in job.reader.iter_documents():
            job.context.check_cancelled()
            columns = (table[column].to_pylist() for column in ("id", "title", "text"))
            for id, title, text in zip(*columns, strict=True):
                sink.member(id, joined(title, text))
        sink.end()
        sink.begin("relevant_docs")
        for row in job.rows(split):
            if row.positives:
                sink.member(row.id, [one.id for one in row.positives])
        sink.end()
        sink.plain("mode", "text")
        _close(job, sink, name)


def reranker_csv(job: Job) -> None:
    """``query_id, queries, passages, labels``: a row for each document of a query."""
    for split in job.splits:
        name = f"{split}.csv"
        columns = ("query_id", "queries", "passages", "labels")
        sink = Delimited(job.folder / name, columns)
        for row in job.rows(split):
            for one in [*row.positives, *row.others]:
                values = (row.id, row.text, one.text, one.grade)
                sink.write(dict(zip(columns, values, strict=True)))
        _close(job, sink, name)


def imagefolder(job: Job) -> None:
    """``SPLIT/metadata.jsonl`` (file_name, text or texts) beside the split's pictures."""
    for split in job.splits:
        folder = job.folder / split
        folder.mkdir()
        shown, unseen = split_pictures(job.reader, split)
        job.lost["unseen"] += unseen
        several = any(len(one.captions) > 1 for one in shown)
        sink = JsonLines(folder / "metadata.jsonl")
        for one in shown:
            job.context.check_cancelled()
            shutil.copyfile(job.reader.folder / one.place, folder / one.name)
            said: Any = one.captions if several else one.captions[0]
            named = {"file_name": one.name, "texts" if several else "text": said}
            sink.write({**one.fields, **named})
        _close(job, sink, f"{split}/metadata.jsonl")


def _scored(row: QueryRow) -> int:
    return sum(one.score is not None for one in [*row.positives, *row.others])


def _close(job: Job, sink: Any, name: str) -> None:
    """Finish a file; one without rows would only puzzle whoever reads it."""
    sink.close()
    if sink.rows:
        job.files[name] = sink.rows
    else:
        (job.folder / name).unlink()


#: Judgments of grade 0 become candidates.
_OFFERED = {"queries", "candidates", "zeros"}
#: They are left out.
_RELEVANT = {"queries", "zeros_offered"}
_IDS = {"document_ids", "query_ids", "unlinked", "irrelevant"}
_BEIR = {"titles", "grades", "zeros", "fields", "query_fields", "prompts", *REPEATED}
SHAPES: dict[str, Shape] = {
    "flagembedding": Shape(flagembedding, ".jsonl", frozenset(_OFFERED | {"scores", "prompts"})),
    "pairs": Shape(pairs, ".jsonl", frozenset(_RELEVANT), typed=True),
    "triplets": Shape(triplets, ".jsonl", frozenset(_OFFERED), typed=True),
    # What it holds depends on whose scores are written: see ``Scale.holds``.
    "scored": Shape(scored, ".jsonl", frozenset(), typed=True),
    "beir": Shape(beir, "", frozenset(_RELEVANT | _IDS | _BEIR)),
    "llamaindex": Shape(llamaindex, ".json", frozenset(_RELEVANT | _IDS)),
    "reranker-csv": Shape(
        reranker_csv, ".csv", frozenset(_OFFERED | {"query_ids", "grades", "irrelevant"})
    ),
    "imagefolder": Shape(imagefolder, "", frozenset({"queries", "pictures", "fields"})),
}
