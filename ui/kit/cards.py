"""Jobs and numbers as pieces of HTML, the same on every tab."""

import time
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from ui.kit.forgetting import forgotten_html
from ui.kit.markup import EMPTY, badge, bar, join, quiet_lines, table
from ui.words import amounts, known, sentences, t
from ui.words.amounts import count, duration
from ui.words.sentences import metric_label
from workbench.comparison import trained
from workbench.model_kinds import encoding
from workbench.records import Job, JobStatus

TONES = {
    JobStatus.QUEUED: "",
    JobStatus.RUNNING: "busy",
    JobStatus.SUCCEEDED: "good",
    JobStatus.FAILED: "bad",
    JobStatus.CANCELLED: "warn",
    JobStatus.INTERRUPTED: "warn",
}

#: A worker beats every few seconds. Silence this long (s) is said, and no more than said: the
#: machine may have slept.
SILENCE = 60.0


def job_badge(job: Job) -> Markup:
    """The job's status as a label."""
    if job.status is JobStatus.RUNNING and job.cancel_requested_at:
        return badge(t("status.stopping"), "warn")
    if job.status is JobStatus.RUNNING and is_silent(job):
        return badge(t("status.silent"), "warn")
    return badge(t(f"status.{job.status.value}"), TONES[job.status])


def is_silent(job: Job) -> bool:
    return job.heartbeat_at is not None and time.time() - job.heartbeat_at > SILENCE


def job_card(job: Job, title: str = "", more: Markup = EMPTY) -> Markup:
    """Status, progress and outcome of a job, and ``more`` below them."""
    return Markup(
        '<article class="rw-card" data-job="{}"><header><h3>{}</h3>{}</header>{}{}</article>'
    ).format(job.id, title or job_title(job), job_badge(job), job_body(job), more)


def job_title(job: Job) -> str:
    """What the job does and to what: 'Training: my-model'."""
    name = job.name if job.name != job.task else str(job.recipe.get("dataset", ""))
    task = task_name(job.task)
    return t("job.title", task=task, name=name) if name else task


def task_name(task: str) -> str:
    return t(f"task.{task}") if known(f"task.{task}") else task


def job_body(job: Job) -> Markup:
    """What there is to say below the title."""
    if job.status is JobStatus.RUNNING:
        return join([progress_bar(job), _line(progress_text(job))])
    if job.status is JobStatus.QUEUED:
        return _line(t("job.waits_for_other") if job.after else t("job.waits"))
    if job.error:
        return _line(error_text(job.error), "error")
    if job.status is JobStatus.INTERRUPTED:
        return _line(t("job.interrupted"))
    return _line(result_text(job))


def progress_bar(job: Job) -> Markup:
    done, total = job.progress.get("done"), job.progress.get("total")
    share = done / total if done is not None and total else None
    return bar(share, t("job.progress", name=job_title(job)))


def progress_text(job: Job) -> str:
    """'Reading rows.jsonl · 1,200 of 3,600 rows · 400 rows/s · about 6 s left'."""
    now = job.progress
    unit = sentences.said(str(now.get("unit") or ""))
    parts = [sentences.said(str(now.get("message") or now.get("phase") or t("job.starting")))]
    if now.get("total"):
        parts.append(
            t("job.of", done=count(now["done"]), total=count(now["total"]), unit=unit).strip()
        )
    elif now.get("done"):
        parts.append(f"{count(now['done'])} {unit}".strip())
    if now.get("rate") and unit:
        parts.append(t("job.rate", rate=_rate(now["rate"]), unit=unit))
    if now.get("seconds_left"):
        parts.append(t("job.left", time=duration(now["seconds_left"])))
    return " · ".join(parts)


def _rate(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"


def error_text(error: Mapping[str, Any]) -> str:
    """A job's stored error as its sentences."""
    return sentences.said(f"{error.get('message', '')} {error.get('hint', '')}".strip())


def took(job: Job) -> str:
    """How long the job ran, or ''."""
    if job.started_at is None:
        return ""
    end = job.finished_at or time.time()
    return duration(end - job.started_at)


def result_text(job: Job) -> str:
    """The outcome of a succeeded job in one sentence."""
    result, time_taken = job.result or {}, took(job)
    if job.status is not JobStatus.SUCCEEDED:
        return t("job.ended", status=t(f"status.{job.status.value}"))
    if job.task in ("import", "sample"):
        done = t(
            "job.done_data",
            queries=count(result.get("queries", 0)),
            documents=count(result.get("documents", 0)),
            problems=count(sum((result.get("problem_counts") or {}).values())),
            time=time_taken,
        )
        return " · ".join(filter(None, [done, set_aside_text(result)]))
    if job.task.startswith("train"):
        return train_text(result)
    if job.task == "index":
        return t("job.done_index", documents=count(result.get("documents", 0)), time=time_taken)
    return t("job.done", time=time_taken)


def set_aside_text(result: Mapping[str, Any]) -> str:
    """What an import did not read as it stands in the files, or ''."""
    found = result.get("set_aside") or {}
    own = found.get("own_columns") or []
    counts = (
        ("rows.rows_refused", found.get("rows_refused", 0)),
        ("rows.files_without_rows", found.get("files_without_rows", 0)),
        ("rows.queries_left_out", found.get("queries_left_out", 0)),
        ("rows.list_texts", found.get("list_texts", 0)),
        ("rows.own_columns", len(own)),
    )
    names = ", ".join([*own[:5], *(["…"] if len(own) > 5 else [])])
    said = [t(key, n=count(number), names=names) for key, number in counts if number]
    return " · ".join(said)


def train_text(result: Mapping[str, Any]) -> str:
    """Whether training made the model better, said plainly."""
    metric = str(result.get("metric", ""))
    before = (result.get("baseline") or {}).get(metric)
    after = (result.get("best") or {}).get(metric)
    seconds = duration(result.get("seconds", 0))
    if before is None or after is None:
        return t(
            "train.result_unmeasured", time=seconds, why=sentences.said(trained.unmeasured(result))
        )
    if trained.is_tested(result):
        return sentences.said(trained.verdict(result))
    untrained = (result.get("untrained") or {}).get(metric, before)
    said = {"metric": metric_label(metric), "after": f"{after:.3f}", "time": seconds}
    if result.get("kind", "embedding") in encoding():
        key = "train.result_better" if result.get("beats_base") else "train.result_no_better"
        return t(key, before=f"{before:.3f}", **said)
    # A second stage is held against the first one's order, not against what it was untrained.
    key = "train.result_above_stage" if result.get("beats_base") else "train.result_below_stage"
    stage = sentences.said(str(result.get("baseline_name", "")))
    return t(key, before=f"{untrained:.3f}", stage=stage, order=f"{before:.3f}", **said)


def found_html(result: Mapping[str, Any]) -> Markup:
    """What a run found in the data and decided, below its verdict; nothing of a run that did
    neither."""
    warned = Markup('<p class="rw-sentence">{} {}</p>')
    parts = [
        quiet_lines(
            [said for said in (trained.estimate(result), trained.of_looks(result)) if said]
        ),
        *(
            warned.format(badge(t("decided.warning"), "warn"), sentences.said(one))
            for one in trained.warnings(result)
        ),
        _decided(result),
        forgotten_html(result),
        _looked(result),
    ]
    return join(parts)


def _decided(result: Mapping[str, Any]) -> Markup:
    """The decisions: what, which value, by whom and why."""
    rows = [
        [_setting(one.name), sentences.said(one.value), _by(one.by), sentences.said(one.reason)]
        for one in trained.decided(result)
    ]
    if not rows:
        return EMPTY
    heads = [t("decided.setting"), t("decided.value"), t("decided.by"), t("decided.why")]
    drawn = table(heads, rows, caption=t("decided.title"), stacked=True)
    return Markup('<section class="rw-found"><h4>{}</h4>{}</section>').format(
        t("decided.title"), drawn
    )


def _setting(name: str) -> str:
    """As the form calls the field; what is no field has a name of its own."""
    if name in trained.NAMES:
        return sentences.said(trained.NAMES[name])
    return t(f"field.{name}") if known(f"field.{name}") else name


def _by(by: str) -> str:
    words = {
        trained.MEASURED: t("decided.measured"),
        trained.RULE: t("decided.rule"),
        trained.YOU: t("decided.you"),
    }
    return words.get(by, by)


def _looked(result: Mapping[str, Any]) -> Markup:
    """What the look measured: the base model by document length, and BM25."""
    heads, rows = trained.look_table(result)
    if not rows:
        return EMPTY
    drawn = table(list(map(sentences.said, heads)), rows, caption=t("decided.look"), numeric=[1])
    about = quiet_lines(list(filter(None, [trained.looked(result), trained.expected(result)])))
    return Markup('<details class="rw-found"><summary>{}</summary>{}{}</details>').format(
        t("decided.look"), about, drawn
    )


def _line(text: str, tone: str = "") -> Markup:
    klass = Markup(' class="{}"').format(tone) if tone else EMPTY
    return Markup("<p{}>{}</p>").format(klass, text)


# How a job stands, in a few words each: what the badges beside the live chart say.


def badges(job: Job, system: Mapping[str, float]) -> dict[str, dict[str, str]]:
    """Badge name -> ``{"text", "tone"}``; ``system`` is the newest row of that kind, or empty.

    A badge that is missing is not known anew: the page keeps showing the one it has.
    """
    texts = {
        "state": _state(job),
        "step": _step(job.progress),
        "left": _time(job),
        "rate": _system_rate(system),
        "memory": _memory(system),
    }
    found = {name: {"text": text, "tone": ""} for name, text in texts.items() if text is not None}
    found["state"]["tone"] = TONES[job.status]
    return found


def _state(job: Job) -> str:
    if job.cancel_requested_at is not None and job.status is JobStatus.RUNNING:
        return t("live.cancelling")
    return t(f"live.{job.status.value}")


def _step(progress: Mapping[str, Any]) -> str | None:
    done, total, unit = (progress.get(key) for key in ("done", "total", "unit"))
    if done is None or not total:
        return None
    if not unit or str(unit).startswith("step"):
        return t("live.step", done=amounts.count(done), total=amounts.count(total))
    unit = sentences.said(str(unit))
    return t("live.done", done=amounts.count(done), total=amounts.count(total), unit=unit)


def _time(job: Job) -> str:
    """Time left while it runs, time taken once it ended; '' takes the badge away."""
    if job.status.finished:
        if job.started_at is None or job.finished_at is None:
            return ""
        return t("live.took", time=amounts.duration(job.finished_at - job.started_at))
    left = job.progress.get("seconds_left")
    if left is None or job.status is not JobStatus.RUNNING:
        return ""
    return t("live.left", time=amounts.duration(_since_heartbeat(job, float(left))))


def _since_heartbeat(job: Job, left: float) -> float:
    """Progress is written with the heartbeat; the time since then has passed already."""
    if job.heartbeat_at is None:
        return left
    return max(0.0, left - max(0.0, time.time() - job.heartbeat_at))


def _system_rate(system: Mapping[str, float]) -> str | None:
    rate = system.get("samples_per_second")
    if rate is None:
        return None
    return t("live.rate", rate=f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}")


def _memory(system: Mapping[str, float]) -> str | None:
    parts = [
        t(f"live.{key}", size=amounts.size(system[f"{key}_mb"] * 1e6))
        for key in ("memory", "gpu_memory")
        if system.get(f"{key}_mb")
    ]
    return ", ".join(parts) or None
