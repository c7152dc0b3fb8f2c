"""The shapes other tools read, each as a function that writes one split, and what it can hold."""

import json
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow.compute as pc

from workbench.data.export_files import Delimited, JsonLines, JsonObject, table_sink
from workbench.data.export_held import REPEATED, SAID, QueryRow, joined, query_rows
from workbench.data.reader import DatasetReader
from workbench.errors import BadInput
from workbench.jobs.reporting import JobContext
from workbench.recipes.data import ExportDataRecipe

# The pictures of a split with their captions, as an ImageFolder names them.

#: What may stand in a file's name everywhere.
_ODD = re.compile(r"[^\w.-]+")
_LONGEST = 100


@dataclass(frozen=True, slots=True)
class Picture:
    """``place``: its file below the data set's folder; ``name``: what it is written as."""

    place: str
    name: str
    captions: list[str] = field(default_factory=list)
    fields: dict[str, Any] = field(default_factory=dict)


def split_pictures(reader: DatasetReader, split: str) -> tuple[list[Picture], int]:
    """The pictures relevant to a split's captions, and how many documents have none to show."""
    judged = reader.judgments(split)
    judged = judged.filter(pc.greater_equal(judged["grade"], 1))
    table = reader.queries(split)
    texts = dict(zip(table["row"].to_pylist(), table["text"].to_pylist(), strict=True))
    said: dict[int, list[str]] = {}
    columns = (judged[name].to_pylist() for name in ("query", "document"))
    for query, document in zip(*columns, strict=True):
        said.setdefault(document, []).append(texts[query])
    rows = sorted(said)
    found, names = [], set[str]()
    for row, one in zip(rows, reader.documents_at(rows).to_pylist(), strict=True):
        if one["picture"]:
            name = _name(one["id"], one["picture"], names)
            fields = json.loads(one["fields"]) if one["fields"] else {}
            found.append(Picture(one["picture"], name, said[row], fields))
    return found, len(rows) - len(found)


def _name(id: str, place: str, taken: set[str]) -> str:
    """A plain file name from a document's id, which may hold anything; each once."""
    digest = PurePosixPath(place)
    stem = _ODD.sub("-", PurePosixPath(id).with_suffix("").as_posix()).strip("-.")[:_LONGEST]
    name = f"{stem or digest.stem}{digest.suffix}"
    if name.lower() in taken:
        name = f"{stem}-{digest.stem[:16]}{digest.suffix}"
    taken.add(name.lower())
    return name


# Any data set as scored pairs: its own, or its queries and documents with a grade or a teacher's
# score.

#: What a data set can give as scores, in the order in which 'auto' takes them.
OWN, TEACHER, GRADES = "own", "teacher", "grades"
Pair = tuple[str, str, float]


@dataclass(frozen=True, slots=True)
class Scale:
    """Whose scores are written, and what a grade is divided by: the highest one of the data set,
    so that all splits share one scale."""

    source: str
    highest: int = 1

    def says(self) -> str:
        """How the scores came about, for a person."""
        if self.source == OWN:
            return "The scores are the data set's own, as they are."
        if self.source == TEACHER:
            return "The scores are the teacher's own, as it gave them: they are on its scale."
        by = f", divided by {self.highest}, the highest" if self.highest > 1 else ""
        return (
            f"The scores are grades{by}: 1 is the best. Candidates that nobody judged are 0, "
            "which a person might see otherwise."
        )

    def pairs(self, row: QueryRow) -> Iterator[Pair]:
        """A query's pairs: query, document, score."""
        for one in [*row.positives, *row.others]:
            if self.source == GRADES:
                yield row.text, one.text, max(0, one.grade) / self.highest
            elif one.score is not None:
                yield row.text, one.text, one.score

    def lost(self, row: QueryRow) -> dict[str, int]:
        """What of a query has no place, or a place that is to be told of."""
        linked = [*row.positives, *row.others]
        if self.source == TEACHER:
            return {"unscored": sum(one.score is None for one in linked)}
        return {"unjudged": sum(not one.judged for one in linked)}

    @property
    def holds(self) -> frozenset[str]:
        """What of :data:`workbench.data.export_held.SAID` has a place in it."""
        if self.source == OWN:
            return frozenset(SAID.keys() - {"queries", "pair_fields"})
        if self.source == TEACHER:
            return frozenset(
                {"queries", "scores", "candidates", "zeros_offered", "irrelevant", "pairs"}
            )
        return frozenset(
            {"queries", "grades", "candidates", "zeros", "zeros_offered", "irrelevant", "pairs"}
        )


def scale_of(
    reader: DatasetReader, recipe: ExportDataRecipe, splits: list[str], context: JobContext
) -> Scale:
    """The scores that are asked for, or those there are; raises :class:`BadInput` without any."""
    there = {
        OWN: lambda: any(reader.pairs(split).num_rows for split in splits),
        TEACHER: lambda: any(_taught(reader, split, context) for split in splits),
        GRADES: lambda: any(reader.judgments(split).num_rows for split in splits),
    }
    asked = list(there) if recipe.scores_from == "auto" else [recipe.scores_from]
    found = next((name for name in asked if there[name]()), None)
    if found is None:
        where = "" if recipe.split == "all" else f" in {recipe.split}"
        lacking = _MISSING[recipe.scores_from]
        raise BadInput(
            f"'{reader.name}' has no {lacking}{where}: there is nothing to write.",
            "Choose another format or split, or other scores.",
        )
    return Scale(found, _highest(reader) if found == GRADES else 1)


_MISSING = {
    "auto": "scored pairs, and no judgments to make them of",
    OWN: "scored pairs",
    TEACHER: "teacher's scores",
    GRADES: "judgments",
}


def splits_with(reader: DatasetReader, scale: Scale, splits: list[str]) -> list[str]:
    """Those with something to write."""
    if scale.source == OWN:
        return [split for split in splits if reader.pairs(split).num_rows]
    return [split for split in splits if reader.manifest.splits[split]]


def _taught(reader: DatasetReader, split: str, context: JobContext) -> bool:
    context.check_cancelled()
    scores = reader.candidates(split)["score"]
    return bool(scores.null_count < len(scores))


def _highest(reader: DatasetReader) -> int:
    highest = 1
    for table in reader.iter_edges("judgments"):
        found: Any = pc.max(table["grade"]).as_py()
        highest = max(highest, found or 1)
    return highest


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
