"""The task 'synthesize': ask, clean, find again, and make a new version of the data set."""

import json
from collections.abc import Callable
from typing import Any

from workbench.data.reader import DatasetReader
from workbench.data.versions import new_version, versions
from workbench.errors import EndpointFailed
from workbench.jobs.context import JobContext
from workbench.recipes.synthesize import DROPPED, SynthesizeRecipe
from workbench.synthesis.answers import Answers
from workbench.synthesis.passages import Rows, chosen, prompts, texts
from workbench.synthesis.roundtrip import find_again, load_encoder
from workbench.synthesis.templates import with_templates
from workbench.synthesis.version import Asked, changes_of, gather

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
    return {**about, **_version(recipe, context, reader, answers)}


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
            f"None of {len(rows):,} passages was answered. {next(iter(answers.failures))}",
            "Mend what it says, and resume the job.",
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
    recipe: SynthesizeRecipe, context: JobContext, reader: DatasetReader, answers: Answers
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
    number = _made(recipe, context)
    if number is None:
        how = {
            "what": f"questions written by {recipe.writer}",
            "by": recipe.task,
            "recipe": recipe.model_dump(mode="json"),
            "job": context.job.id if context.job is not None else None,
            "counts": counts,
        }
        changes = changes_of(reader, recipe, kept)
        number = new_version(
            context.workspace, recipe.dataset, changes, how, context, base_version=reader.version
        )
    made = context.workspace.datasets.read(recipe.dataset, number)
    return {
        "version": number,
        "kept": len(kept),
        "dropped": len(asked) - len(kept),
        "known": len(asked.known),
        "repeated": asked.repeated,
        "judgments": sum(len(one) for one in kept.documents),
        "round_trip": recipe.round_trip,
        "round_trip_k": recipe.round_trip_k,
        "splits": made.counts["splits"],
    }


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


def _made(recipe: SynthesizeRecipe, context: JobContext) -> int | None:
    """The version that an earlier attempt of this job made before it was stopped."""
    if context.job is None:
        return None
    for one in versions(context.workspace, recipe.dataset):
        if one.lineage and one.lineage[-1].get("job") == context.job.id:
            return one.version
    return None


def _examples(reader: DatasetReader, rows: Rows, answers: Answers) -> list[dict[str, Any]]:
    """The first passages that were answered, and their questions."""
    some = rows[[int(row) in answers.questions for row in rows]][:SHOWN]
    return [
        {"passage": text[:_SHORT], "questions": answers.questions[row]}
        for row, text in texts(reader, some)
    ]
