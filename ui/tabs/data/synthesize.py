"""Queries from documents on the Data tab: try a few passages, then have questions written."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.kit import choices, form
from ui.kit.events import on_busy
from ui.kit.job_slot import JobSlot, card_html, newest
from ui.kit.markup import EMPTY, badge, clipped, facts, heading, join, piece
from ui.routes.downloads import download_url
from ui.services import Services
from ui.tabs.data.section import Section, Shown
from ui.words import sentences, t
from ui.words.amounts import count
from workbench.recipes.synthesize import COUNT, DROPPED, PASSAGE, SynthesizeRecipe
from workbench.records import Dataset, Job, JobStatus
from workbench.synthesis.answers import CHINESE, ENGLISH

#: Syntheses, and previews of one.
TASKS = (SynthesizeRecipe.task,)
#: Passages of a preview.
FEW = 3
_SKIP = ("dataset", "dataset_version", "preview", "template_en", "template_zh")
#: What nothing typed means.
_EMPTY = {
    "passages": "synth.all",
    "requests_per_minute": "synth.unlimited",
    "temperature": "synth.left",
}
_TEMPLATES = {"template_en": ENGLISH, "template_zh": CHINESE}


class SynthesizeSection(Section):
    """Queries that a language model writes for the data set's documents."""

    job: JobSlot

    def __init__(self, shown: Shown) -> None:
        super().__init__(shown)
        with gr.Accordion(
            t("synth.title"), open=False, visible=False, elem_id="data-synth"
        ) as self.box:
            piece(heading(t("synth.heading"), t("synth.about")))
            self.form = form.render(SynthesizeRecipe, skip=_SKIP, prefix="synth")
            choices.offer_keys(self.workspace, self.form.components["key_variable"])
            for name, empty in _EMPTY.items():
                field = self.form.components[name]
                if isinstance(field, gr.Textbox):
                    field.placeholder = t(empty)
            with gr.Accordion(t("group.prompt"), open=False, elem_id="synth-prompt"):
                self.templates = {name: _template(name, text) for name, text in _TEMPLATES.items()}
            with gr.Row(elem_classes="rw-actions"):
                self.preview = gr.Button(t("synth.preview"), elem_id="synth-preview")
                self.start = gr.Button(t("synth.start"), variant="primary", elem_id="synth-start")
            self.job = JobSlot("synth-job")
            self.report = piece(elem_id="synth-report")
        #: What a job changes.
        self.own = [*self.job.outputs, self.report]
        menus = [self.form.components[name] for name in ("local_model", "round_trip")]
        self.outputs = [self.box, *menus, *self.own]

    def listen(self) -> None:
        get = self.workspace.jobs.get
        self.job.listen(self.services, lambda id: self._own(get(id)), [], self.own)
        templates = self.templates.values()
        for button, preview, word in (
            (self.preview, True, "synth.preview"),
            (self.start, False, "synth.start"),
        ):
            on_busy(
                button,
                self._starter(preview),
                [self.shown.id, *templates, *self.form.inputs],
                [*self.own, *self.form.inputs, *templates],
                says=t("synth.asking"),
                then=t(word),
            )
        form.listen_depends(self.form)

    def _starter(self, preview: bool) -> Callable[..., dict[Any, Any]]:
        def start(id: str, english: str, chinese: str, *raw: Any) -> dict[Any, Any]:
            def act() -> dict[Any, Any]:
                values = {**self.form.values(raw), "preview": preview}
                values |= {"template_en": english or "", "template_zh": chinese or ""}
                if preview:
                    values["passages"] = min(FEW, values["passages"] or FEW)
                name = self.dataset(id)
                self.workspace.jobs.submit(SynthesizeRecipe.read({**values, "dataset": name}))
                return self._own(newest(self.services, TASKS, name))

            return self.form.answer(act, self.templates)

        return start

    def changed(self, name: str, _place: Sequence[Any], card: str) -> dict[Any, Any] | None:
        job = newest(self.services, TASKS, name)
        if str(card_html(job)) == card:
            return {}
        if job is not None and job.status is JobStatus.SUCCEEDED and job.result:
            return None
        return self._own(job)

    def view(self, dataset: Dataset | None, place: Sequence[Any] | None) -> dict[Any, Any]:
        """Where there are documents only, this comes next; what a person folded stays so, while the
        data set is not shown afresh."""
        if dataset is None or not dataset.summary.get("documents"):
            hidden = gr.Accordion(visible=False)
            return {self.box: hidden, **self.job.show(EMPTY), self.report: EMPTY}
        nothing = (t("synth.none"), "")
        names = [*choices.model_names(self.workspace), "bm25"]
        bare = not dataset.summary.get("queries") and not dataset.summary.get("pairs")
        unfolded = {"open": True} if bare and place is None else {}
        fields = self.form.components
        return {
            self.box: gr.Accordion(visible=True, **unfolded),
            fields["local_model"]: gr.update(choices=[nothing]),
            fields["round_trip"]: gr.update(choices=[nothing, *((one, one) for one in names)]),
            **self._own(newest(self.services, TASKS, dataset.name)),
        }

    def _own(self, job: Job | None) -> dict[Any, Any]:
        report = str(report_html(self.services, job))
        return {**self.job.show(card_html(job), job), self.report: report}


def _template(name: str, text: str) -> gr.Textbox:
    return gr.Textbox(
        value=text,
        label=form.label(name),
        info=t("synth.template_help", passage=PASSAGE, n=COUNT),
        lines=10,
        interactive=True,
        elem_id=f"synth-{name}",
    )


# -- what is shown ---------------------------------------------------------------------------


def report_html(services: Services, job: Job | None) -> Markup:
    """What was written, what it took, what was left out, and a few of the questions."""
    if job is None or job.status is not JobStatus.SUCCEEDED or not job.result:
        return EMPTY
    done = job.result
    made = done["version"] is not None
    title = t("synth.made", version=done["version"]) if made else t("synth.previewed")
    notes = [
        t("synth.failed", count=count(number), why=sentences.said(why))
        for why, number in done["failures"].items()
    ]
    if done["without"]:
        notes.append(t("synth.without", count=count(done["without"])))
    return Markup(
        '<article class="rw-card"><header><h3>{}</h3>{}</header>{}'
        '<ul class="rw-notes">{}</ul>{}{}</article>'
    ).format(
        title,
        badge(done["writer"]),
        facts(_facts(done)),
        join(Markup("<li>{}</li>").format(note) for note in notes),
        _dropped(services, job),
        join(_example(one) for one in done["examples"]),
    )


def _dropped(services: Services, job: Job) -> Markup:
    """A link to what was left out, where something was."""
    done = job.result or {}
    if not done.get("dropped") and not done.get("known"):
        return EMPTY
    url = download_url(services, "jobs", job.id, DROPPED)
    return Markup('<p><a class="rw-pick" href="{}" download>{}</a></p>').format(
        url, t("synth.download_dropped")
    )


def _facts(done: Mapping[str, Any]) -> dict[str, str]:
    answered = t("synth.of", count=count(done["answered"]), total=count(done["passages"]))
    found = {t("synth.passages"): answered, t("synth.written"): count(done["written"])}
    if done["version"] is not None:
        found[t("synth.kept")] = count(done["kept"])
        if done["round_trip"]:
            found[t("synth.dropped")] = count(done["dropped"])
        if done["known"]:
            found[t("synth.known")] = count(done["known"])
    found[t("synth.tokens")] = _tokens(done["tokens"])
    return found


def _tokens(tokens: Mapping[str, Any]) -> str:
    if not tokens["told"] and not tokens["prompt"]:
        return t("synth.tokens_unknown")
    key = "synth.tokens_said" if tokens["told"] else "synth.tokens_least"
    return t(key, prompt=count(tokens["prompt"]), completion=count(tokens["completion"]))


def _example(one: Mapping[str, Any]) -> Markup:
    asked = join(Markup("<li>{}</li>").format(text) for text in one["questions"])
    nothing = Markup("<li>{}</li>").format(badge(t("synth.no_question"), "warn"))
    return Markup('<section class="rw-synth">{}<ul class="rw-notes">{}</ul></section>').format(
        clipped(one["passage"]), asked or nothing
    )
