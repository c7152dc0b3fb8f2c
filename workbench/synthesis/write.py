"""The task 'synthesize': ask, clean, find again, and make a new version of the data set."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from workbench.data.edit import Changes
from workbench.data.reader import DatasetReader
from workbench.data.splits import CODES, SPLITS, Shares, carve
from workbench.data.versions import new_version
from workbench.errors import BadInput, EndpointFailed, ModelUnusable
from workbench.evaluation.cached import with_cache
from workbench.evaluation.candidates import find
from workbench.evaluation.measure import Encoder
from workbench.evaluation.named import BM25
from workbench.evaluation.own_document import NO
from workbench.evaluation.pool import Pool, whole_pool
from workbench.jobs.reporting import JobContext
from workbench.models.inspect import refuse_mute
from workbench.models.locate import locate
from workbench.models.resolve import resolve
from workbench.plurals import counted
from workbench.recipes.synthesize import DROPPED, SynthesizeRecipe
from workbench.synthesis.answers import Answers, prompt, same, with_templates

if TYPE_CHECKING:
    from workbench.workspace import Workspace


# From questions of passages to queries and judgments of a new version.


@dataclass
class Asked:
    """Distinct questions, and the passages each was written for."""

    texts: list[str] = field(default_factory=list)
    #: For each question, the rows of its documents.
    documents: list[list[int]] = field(default_factory=list)
    #: Questions that the data set asks already: (text, document row).
    known: list[tuple[str, int]] = field(default_factory=list)
    #: Questions that were written for another passage before; it is right for them as well.
    repeated: int = 0

    def __len__(self) -> int:
        return len(self.texts)


def gather(reader: DatasetReader, answers: Mapping[int, list[str]]) -> Asked:
    """The questions in the order of their documents, one text once.

    What the data set asks already is left out: it may stand in another split.
    """
    there = {same(text) for table in reader.iter_queries() for text in table["text"].to_pylist()}
    asked, places = Asked(), dict[str, int]()
    for row in sorted(answers):
        for text in answers[row]:
            key = same(text)
            if key in there:
                asked.known.append((text, row))
            elif key in places:
                asked.documents[places[key]].append(row)
                asked.repeated += 1
            else:
                places[key] = len(asked)
                asked.texts.append(text)
                asked.documents.append([row])
    return asked


def changes_of(reader: DatasetReader, recipe: SynthesizeRecipe, asked: Asked) -> Changes:
    """New queries, each in the split of its first passage, and what is right for them."""
    splits = _splits(reader, recipe, asked)
    names = np.array(SPLITS)[np.searchsorted([CODES[one] for one in SPLITS], splits)]
    queries = pa.table({"text": pa.array(asked.texts, pa.string()), "split": names.tolist()})
    first = int(reader.counts["queries"])
    judgments = [(first + at, row, 1) for at, rows in enumerate(asked.documents) for row in rows]
    return Changes(new_queries=queries, add_judgments=judgments)


def _splits(reader: DatasetReader, recipe: SynthesizeRecipe, asked: Asked) -> Any:
    """Questions of one passage go together. Splits that the data set has stay as they are: a
    test that was judged by people must not be mixed with what a model wrote."""
    there = reader.counts["splits"]
    shares = Shares(
        dev=0.0 if there.get("dev") else recipe.dev_share,
        test=0.0 if there.get("test") else recipe.test_share,
        seed=recipe.seed,
    )
    groups = np.array([rows[0] for rows in asked.documents], np.int64)
    return carve(np.zeros(len(asked), np.int8), groups, shares)


# The round trip: a question stays if its own passage is among the best that a model finds.

Progress = Callable[[int, int], None]


def find_again(
    reader: DatasetReader,
    asked: Asked,
    k: int,
    encoder: Encoder | None,
    progress: Progress,
    stop: Callable[[], None],
) -> tuple[Asked, list[tuple[str, int]]]:
    """What is found among the first ``k`` documents, and (question, row) of what is not.

    ``encoder`` None searches by BM25. A question of several passages loses those not found.
    """
    pool = _pool(reader, asked.texts)
    k = min(k, pool.documents)
    run = find(pool, encoder, k=k, progress=progress, stop=stop)
    kept = Asked(known=asked.known, repeated=asked.repeated)
    lost: list[tuple[str, int]] = []
    for text, rows, found in zip(asked.texts, asked.documents, run.documents, strict=True):
        good = [row for row in rows if row in found]
        lost += [(text, row) for row in rows if row not in found]
        if good:
            kept.texts.append(text)
            kept.documents.append(good)
    return kept, lost


def _pool(reader: DatasetReader, texts: list[str]) -> Pool:
    """The new questions against all documents."""
    # New questions have no ids yet, so none is a document by its id.
    pool = whole_pool(reader, "train", judged_only=False, exclude=NO)
    rows = np.arange(len(texts), dtype=np.int64)
    return replace(pool, queries=rows, texts=texts, judgments={}, own=None)


def load_encoder(workspace: "Workspace", name: str, device: str) -> Any:
    """The embedding model that searches; None for BM25."""
    if name.strip().lower() == BM25:
        return None
    from workbench.models.load import LoadedEmbedding, load_model

    local = locate(workspace, name)
    model = load_model(local, device=device)
    if not isinstance(model, LoadedEmbedding):
        raise no_searcher(name)
    return with_cache(model, local, workspace)


# Which documents are asked about, and what of them is sent.

Rows = NDArray[np.int64]
#: Documents in memory at a time.
BLOCK = 500


def chosen(reader: DatasetReader, recipe: SynthesizeRecipe) -> Rows:
    """Rows of the documents to ask about, ascending; drawn by the seed where fewer are wanted."""
    parts, start = [np.zeros(0, np.int64)], 0
    for table in reader.iter_documents():
        # A picture without words, or an empty text, asks nothing.
        long = pc.utf8_length(pc.utf8_trim_whitespace(pc.fill_null(table["text"], ""))).to_numpy()
        parts.append(start + np.flatnonzero(long > 0))
        start += table.num_rows
    rows = np.concatenate(parts).astype(np.int64)
    if not len(rows):
        raise BadInput(f"No document of '{reader.name}' has text.", "Questions need passages.")
    if recipe.skip_judged:
        rows = rows[~np.isin(rows, _judged(reader))]
        if not len(rows):
            raise BadInput(
                f"Every document of '{reader.name}' is right for some query already.",
                "Turn 'skip_judged' off to have more questions written.",
            )
    if recipe.passages is None or recipe.passages >= len(rows):
        return rows
    random = np.random.default_rng(recipe.seed)
    return np.sort(random.choice(rows, recipe.passages, replace=False))


def prompts(
    reader: DatasetReader, rows: Rows, recipe: SynthesizeRecipe
) -> Iterator[tuple[int, str]]:
    """Each row, and what is asked about it."""
    for row, text in texts(reader, rows):
        yield row, prompt(recipe, text)


def texts(reader: DatasetReader, rows: Rows) -> Iterator[tuple[int, str]]:
    """Each row and its passage, the title before it."""
    for start in range(0, len(rows), BLOCK):
        block = rows[start : start + BLOCK].tolist()
        table = reader.documents_at(block)
        columns = (table[name].to_pylist() for name in ("title", "text"))
        for row, title, text in zip(block, *columns, strict=True):
            yield row, f"{title}\n{text}" if title else text


def _judged(reader: DatasetReader) -> Rows:
    parts = [np.zeros(0, np.int64)]
    for edges in reader.iter_edges("judgments"):
        right = edges.filter(pc.greater_equal(edges["grade"], 1))
        parts.append(np.unique(right["document"].to_numpy()))
    return np.concatenate(parts)


#: Passages that the result shows with their questions.
SHOWN = 3
_SHORT = 600


def run(recipe: SynthesizeRecipe, context: JobContext) -> dict[str, Any]:
    """Answers are kept as they come; what an earlier attempt asked is not asked again."""
    recipe = with_templates(recipe)
    reader = context.workspace.datasets.read(recipe.dataset, recipe.dataset_version)
    rows = chosen(reader, recipe)
    answers = Answers(context.folder, recipe.questions)
    _ask(recipe, context, reader, rows, answers)
    about = {
        "dataset": reader.name,
        "from_version": reader.version,
        "version": None,
        "writer": recipe.writer,
        "endpoint": recipe.endpoint,
        "passages": len(rows),
        "answered": len(answers.questions),
        "without": sum(not one for one in answers.questions.values()),
        "failed": answers.failed,
        "failures": answers.failures,
        "written": answers.written,
        "tokens": answers.tokens(),
        "examples": _examples(reader, rows, answers),
    }
    if recipe.preview:
        return about
    return _version(recipe, context, reader, answers, about)


def _ask(
    recipe: SynthesizeRecipe,
    context: JobContext,
    reader: DatasetReader,
    rows: Rows,
    answers: Answers,
) -> None:
    left = rows[[int(row) not in answers.questions for row in rows]]
    said = _teller(context, len(rows), answers)
    said()
    if not len(left):
        return
    asked = prompts(reader, left, recipe)
    _writer(recipe, context).write(asked, answers, context.check_cancelled, said)
    if answers.failed and not answers.questions:
        raise EndpointFailed(
            f"None of {counted(len(rows), 'passage')} was answered. {next(iter(answers.failures))}",
            "Fix what it says, and resume the job.",
        )
    for sentence, count in answers.failures.items():
        context.note(f"{count:,} passages stay without questions: {sentence}")


def _writer(recipe: SynthesizeRecipe, context: JobContext) -> Any:
    """Each brings what it needs: a client of the network, or torch."""
    if recipe.endpoint:
        from workbench.synthesis.endpoint import Endpoint

        return Endpoint(recipe, context.workspace.endpoint_keys)
    from workbench.synthesis.local import LocalWriter

    return LocalWriter(recipe, context.workspace)


def _teller(context: JobContext, total: int, answers: Answers) -> Callable[[], None]:
    def said() -> None:
        spent = answers.prompt_tokens + answers.completion_tokens
        failed = f", {answers.failed:,} failed" if answers.failed else ""
        message = f"{answers.written:,} questions, {spent:,} tokens{failed}"
        context.progress(len(answers.questions), total, "passages", message)

    return said


# -- what becomes of the questions -----------------------------------------------------------


def _version(
    recipe: SynthesizeRecipe,
    context: JobContext,
    reader: DatasetReader,
    answers: Answers,
    about: dict[str, Any],
) -> dict[str, Any]:
    asked = gather(reader, answers.questions)
    kept, lost = _round_trip(recipe, context, reader, asked)
    _keep_dropped(recipe, context, reader, asked, lost)
    counts = {
        "queries_written": len(kept),
        "round_trip_dropped": len(asked) - len(kept),
        "known_before": len(asked.known),
        "repeated": asked.repeated,
        "passages_answered": len(answers.questions),
        "prompt_tokens": answers.prompt_tokens,
        "completion_tokens": answers.completion_tokens,
    }
    if not len(kept):
        raise EndpointFailed(
            f"Of {answers.written:,} questions none is left: {len(asked.known):,} are asked "
            f"already, {len(lost):,} do not find their passage.",
            f"Look at {DROPPED} in the job's folder; raise the round trip's k or change the "
            "template.",
        )
    how = {
        "what": f"questions written by {recipe.writer}",
        "by": recipe.task,
        "recipe": recipe.model_dump(mode="json"),
        "job": context.job.id if context.job is not None else None,
        "counts": counts,
    }
    changes = changes_of(reader, recipe, kept)

    def result(made: DatasetReader) -> dict[str, Any]:
        return {
            **about,
            "version": made.version,
            "kept": len(kept),
            "dropped": len(asked) - len(kept),
            "known": len(asked.known),
            "repeated": asked.repeated,
            "judgments": sum(len(one) for one in kept.documents),
            "round_trip": recipe.round_trip,
            "round_trip_k": recipe.round_trip_k,
            "splits": made.counts["splits"],
        }

    workspace, before = context.workspace, reader.version
    number = new_version(workspace, recipe.dataset, changes, how, context, before, result)
    return result(workspace.datasets.read(recipe.dataset, number))


def _round_trip(
    recipe: SynthesizeRecipe, context: JobContext, reader: DatasetReader, asked: Asked
) -> tuple[Asked, list[tuple[str, int]]]:
    if not recipe.round_trip or not len(asked):
        return asked, []

    def progress(done: int, total: int) -> None:
        context.check_cancelled()
        context.progress(done, total, "texts", f"round trip: {recipe.round_trip} searches")

    progress(0, 1)
    encoder = load_encoder(context.workspace, recipe.round_trip, recipe.device)
    k, stop = recipe.round_trip_k, context.check_cancelled
    return find_again(reader, asked, k, encoder, progress, stop)


def _keep_dropped(
    recipe: SynthesizeRecipe,
    context: JobContext,
    reader: DatasetReader,
    asked: Asked,
    lost: list[tuple[str, int]],
) -> None:
    """What was left out, and why, for a person to look at."""
    missed = f"its passage is not among the first {recipe.round_trip_k} of {recipe.round_trip}"
    gone = [(*one, "the data set asks it already") for one in asked.known]
    gone += [(*one, missed) for one in lost]
    ids = reader.documents_at([row for _, row, _ in gone])["id"].to_pylist()
    lines = [
        json.dumps({"question": text, "document": id, "why": why}, ensure_ascii=False) + "\n"
        for (text, _, why), id in zip(gone, ids, strict=True)
    ]
    (context.folder / DROPPED).write_text("".join(lines), encoding="utf-8")


def _examples(reader: DatasetReader, rows: Rows, answers: Answers) -> list[dict[str, Any]]:
    """The first passages that were answered, and their questions."""
    some = rows[[int(row) in answers.questions for row in rows]][:SHOWN]
    return [
        {"passage": text[:_SHORT], "questions": answers.questions[row]}
        for row, text in texts(reader, some)
    ]


# Checks a synthesis when it is submitted.


def prepare_synthesize(
    recipe: SynthesizeRecipe, workspace: "Workspace", _waits: bool
) -> SynthesizeRecipe:
    """The recipe with the templates filled in; raises :class:`BadInput`."""
    # The key that may be sent now is the one that may be sent when the job is resumed.
    changes = {"key_variable": workspace.endpoint_keys.variable(recipe)}
    return with_templates(recipe.model_copy(update=changes))


def check_writer(workspace: "Workspace", name: str) -> None:
    """Raise :class:`BadInput` for a model that writes nothing; one on a hub shows it in the run."""
    found = resolve(workspace, name)
    if found.base is not None:
        raise ModelUnusable(f"'{name}' is an adapter.", "Merge it into its base model first.")
    if found.local:
        refuse_mute(Path(found.source), name)


def no_searcher(name: str) -> BadInput:
    return BadInput(
        f"'{name}' cannot search: it is not an embedding model.",
        "Choose an embedding model for the round trip, 'bm25', or none.",
    )
