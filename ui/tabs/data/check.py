"""The data check's part of the Data tab: run it, look at what was found, fix it."""

from collections.abc import Sequence
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.kit import choices, form
from ui.kit.cards import job_card
from ui.kit.events import on, on_busy
from ui.kit.job_slot import JobSlot, find, newest
from ui.kit.markup import EMPTY, badge, clipped, heading, join, pick, piece
from ui.services import Services
from ui.tabs.data.section import Section, Shown
from ui.words import sentences, t
from ui.words.amounts import count
from workbench.data_check.fix import read_report
from workbench.data_check.report import CLIP
from workbench.errors import BadInput
from workbench.recipes.data import DataCheckRecipe, DataFixRecipe
from workbench.records import Dataset, Job, JobStatus

#: Examples that are shown at once; the others unfold.
SHOWN = 3
_TONES = {"error": "bad", "warning": "warn", "note": ""}
_SEVERITIES = {
    "error": "data_check.error",
    "warning": "data_check.warning",
    "note": "data_check.note",
}
#: What each finding is called.
TITLES = {
    "empty-query": "data_check.empty_query",
    "one-word-query": "data_check.one_word_query",
    "query-in-two-splits": "data_check.query_in_two_splits",
    "similar-query-in-two-splits": "data_check.similar_query_in_two_splits",
    "duplicate-query": "data_check.duplicate_query",
    "duplicate-document": "data_check.duplicate_document",
    "near-duplicate-document": "data_check.near_duplicate_document",
    "picture-without-caption": "data_check.picture_without_caption",
    "caption-of-several-pictures": "data_check.caption_of_several_pictures",
    "positive-is-negative": "data_check.positive_is_negative",
    "document-for-many-queries": "data_check.document_for_many_queries",
    "label-imbalance": "data_check.label_imbalance",
    "pair-label-imbalance": "data_check.pair_label_imbalance",
    "languages-mixed": "data_check.languages_mixed",
    "near-duplicate-query": "data_check.near_duplicate_query",
    "empty-pair-text": "data_check.empty_pair_text",
    "one-word-pair-text": "data_check.one_word_pair_text",
    "pair-in-two-splits": "data_check.pair_in_two_splits",
    "similar-pair-in-two-splits": "data_check.similar_pair_in_two_splits",
    "duplicate-pair": "data_check.duplicate_pair",
    "pair-with-two-scores": "data_check.pair_with_two_scores",
    "near-duplicate-pair": "data_check.near_duplicate_pair",
    "pair-languages-mixed": "data_check.pair_languages_mixed",
    "cut-pair": "data_check.cut_pair",
    "cut-query": "data_check.cut_query",
    "cut-document": "data_check.cut_document",
    "likely-false-negative": "data_check.likely_false_negative",
    "placeholder-query": "data_check.placeholder_query",
    "placeholder-document": "data_check.placeholder_document",
    "placeholder-pair-text": "data_check.placeholder_pair_text",
    "list-query": "data_check.list_query",
    "list-document": "data_check.list_document",
    "list-pair-text": "data_check.list_pair_text",
    "number-query": "data_check.number_query",
    "number-document": "data_check.number_document",
    "number-pair-text": "data_check.number_pair_text",
}


class CheckSection(Section):
    """What is wrong with the data set, and what can be done about it."""

    job: JobSlot

    def __init__(self, shown: Shown) -> None:
        super().__init__(shown)
        with gr.Accordion(
            t("data_check.title"), open=False, visible=False, elem_id="data-check"
        ) as self.box:
            piece(heading(t("data_check.heading"), t("data_check.about")))
            # A judge to begin with: without one, likely false negatives would never be looked for.
            self.form = form.render(
                DataCheckRecipe,
                skip=("dataset", "dataset_version"),
                start={"judge": choices.PACKAGED},
                prefix="data-check",
            )
            self.start = gr.Button(
                t("data_check.start"), elem_id="data-check-start", elem_classes="rw-fit"
            )
            self.job = JobSlot("data-check-job")
            self.report = piece(elem_id="data-check-report", picks=True)
        #: What a job changes.
        self.own = [*self.job.outputs, self.report]
        menus = [self.form.components[name] for name in ("tokenizer", "judge")]
        self.outputs = [self.box, *menus, *self.own]

    def listen(self) -> None:
        on_busy(
            self.start,
            self._start,
            [self.shown.id, *self.form.inputs],
            self.own,
            says=t("data_check.starting"),
            then=t("data_check.start"),
        )
        on(self.report.select, self._fix, self.shown.id, self.own, queue=True)
        self.job.listen(self.services, lambda _id, name: self._own(name), [self.shown.id], self.own)
        form.listen_depends(self.form)

    def _start(self, id: str, *raw: Any) -> dict[Any, Any]:
        name = self.dataset(id)
        self.workspace.jobs.submit(DataCheckRecipe.read({**self.form.values(raw), "dataset": name}))
        return self._own(name)

    def _fix(self, id: str, event: gr.EventData) -> dict[Any, Any]:
        name, jobs = self.dataset(id), self.workspace.jobs
        # The report's own buttons say whose it is: another may have been made since.
        report, _, code = str(event.value).partition(":")
        done = find(self.services, report, [DataCheckRecipe.task])
        if done is None or done.id not in [one.id for one in jobs.about(name, done.task)]:
            raise BadInput(t("data_check.gone"))
        # A judge or tokenizer that is gone is not asked again: the fix needs neither.
        gone = jobs.removed(done.id)
        changes = {**dict.fromkeys(gone, ""), "dataset_version": None}
        again = jobs.recipe(done.id, gone).model_copy(update=changes)
        job = jobs.submit(DataFixRecipe(dataset=name, report=done.id, fixes=[code]))
        # What is left to fix is told of the new version, by the same settings.
        jobs.submit(again, after=job.id)
        return self._own(name)

    def changed(self, name: str, _place: Sequence[Any], card: str) -> dict[Any, Any] | None:
        """Only what was compared with ``card`` is sent: jobs read a second time may have gone on,
        and a card that is ahead of its report would hide the difference from the next look."""
        found = _jobs(self.services, name)
        html = str(job_html(found))
        if html != card and _state(html) != _state(card):
            return None
        return self.job.changed(card, html, *found)

    def view(self, dataset: Dataset | None, _place: Sequence[Any] | None) -> dict[Any, Any]:
        if dataset is None:
            hidden = gr.Accordion(visible=False)
            return {self.box: hidden, **self.job.show(EMPTY), self.report: EMPTY}
        names = choices.model_names(self.workspace)
        # The models, and none; what is chosen stays.
        offered = [(t("data_check.nobody"), ""), *((name, name) for name in names)]
        return {
            self.box: gr.Accordion(visible=True),
            self.form.components["tokenizer"]: gr.update(choices=offered),
            self.form.components["judge"]: gr.update(choices=offered),
            **self._own(dataset.name),
        }

    def _own(self, dataset: str) -> dict[Any, Any]:
        """The jobs and the report of a data set, by its name or id."""
        name = self.workspace.datasets.get(dataset).name
        found = _jobs(self.services, name)
        report = str(report_html(self.services, name))
        return {**self.job.show(job_html(found), *found), self.report: report}


def _jobs(services: Services, name: str) -> list[Job]:
    """The last data check and the last fix of a data set, the newest last."""
    last = [newest(services, [task], name) for task in (DataCheckRecipe.task, DataFixRecipe.task)]
    return sorted((job for job in last if job), key=lambda job: job.created_at)


# -- what is shown ---------------------------------------------------------------------------


def job_html(found: Sequence[Job]) -> Markup:
    """What runs or failed, and what the last fix did. It begins with how the jobs stand."""
    state = ",".join(f"{job.id}:{job.status.value}" for job in found)
    parts: list[str] = []
    for job in found:
        if job.status is not JobStatus.SUCCEEDED:
            parts.append(job_card(job))
        elif job.task == DataFixRecipe.task:
            parts.append(fixed_html(job.result or {}))
    return Markup('<div data-state="{}">{}</div>').format(state, join(parts))


def _state(html: str) -> str:
    return html.partition('data-state="')[2].partition('"')[0]


def fixed_html(done: dict[str, Any]) -> Markup:
    """What a fix changed."""
    before, after = done.get("before", {}), done.get("after", {})
    changed = [
        t("data_check.changed", kind=t(key), before=count(before[kind]), after=count(after[kind]))
        for kind, key in _KINDS.items()
        if before.get(kind) != after.get(kind)
    ]
    said = join(
        Markup("<li>{}</li>").format(sentences.said(one)) for one in [*done["sentences"], *changed]
    )
    title = t("data_check.fixed", version=done["version"])
    return Markup(
        '<article class="rw-card"><header><h3>{}</h3>{}</header><ul class="rw-notes">{}</ul>'
        "</article>"
    ).format(title, badge(t("data_check.done"), "good"), said)


_KINDS = {
    "queries": "data_check.queries",
    "documents": "data_check.documents",
    "judgments": "data_check.judgments",
    "candidates": "data_check.candidates",
    "pairs": "data_check.pairs",
}


def report_html(services: Services, name: str) -> Markup:
    """The findings of the last data check; fixes only while they are about the current version."""
    about = services.workspace.jobs.about(name, DataCheckRecipe.task, JobStatus.SUCCEEDED)
    job = next(iter(about), None)
    if job is None:
        return Markup('<p class="rw-quiet">{}</p>').format(t("data_check.never"))
    report = read_report(services.workspace, job.id)
    current = services.workspace.datasets.get(name).version
    fresh = report["version"] == current
    key = "data_check.checked" if fresh else "data_check.outdated"
    words = t(key, version=report["version"], **({} if fresh else {"current": current}))
    cards = [_finding(one, job.id if fresh else "") for one in report["findings"]]
    notes = [
        Markup('<p class="rw-quiet">{}</p>').format(sentences.said(note))
        for note in report["notes"]
    ]
    if not cards:
        cards = [Markup("<p>{}</p>").format(t("data_check.healthy"))]
    head = Markup('<p class="rw-quiet">{}</p>').format(words)
    return join([head, *cards, *notes])


def _finding(one: dict[str, Any], report: str) -> Markup:
    """``report``: the id of its job while it can be fixed by it, else ''."""
    title = t(TITLES[one["code"]]) if one["code"] in TITLES else one["code"]
    share = t("data_check.share", count=count(one["count"]), of=count(one["of"]))
    examples = [_example(example) for example in one["examples"]]
    return Markup(
        '<article class="rw-card" data-finding="{}"><header><h3>{}</h3>{} {}</header><p>{}</p>'
        "{}{}{}</article>"
    ).format(
        one["code"],
        title,
        badge(t(_SEVERITIES[one["severity"]]), _TONES[one["severity"]]),
        badge(share),
        sentences.said(one["sentence"]),
        Markup('<ul class="rw-notes">{}</ul>').format(join(examples[:SHOWN])),
        _more(examples[SHOWN:]),
        join(_fix(fix, report) for fix in one["fixes"]),
    )


def _more(examples: list[Markup]) -> Markup:
    if not examples:
        return EMPTY
    return Markup('<details><summary>{}</summary><ul class="rw-notes">{}</ul></details>').format(
        t("data_check.more", count=count(len(examples))), join(examples)
    )


def _example(example: dict[str, Any]) -> Markup:
    texts = join(
        Markup("<div><em>{}</em> {}</div>").format(
            sentences.said(one["role"]), clipped(one["text"], CLIP)
        )
        for one in example["texts"]
    )
    return Markup("<li>{}{}</li>").format(
        texts, badge(sentences.said(example["note"])) if example["note"] else ""
    )


def _fix(fix: dict[str, Any], report: str) -> Markup:
    button = pick(f"{report}:{fix['code']}", t("data_check.fix")) if report else EMPTY
    return Markup('<p class="rw-fix">{}<span>{}</span></p>').format(
        button, sentences.said(fix["sentence"])
    )
