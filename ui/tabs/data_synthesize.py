"""Queries from documents on the Data tab: try a few passages, then have questions written."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui import choices, form
from ui.choices import shown_dataset
from ui.feedback import on_busy
from ui.job_slot import JobSlot, card_html, newest, updates
from ui.markup import EMPTY, badge, clipped, facts, heading, join, piece
from ui.refusals import told_at_fields
from ui.routes.downloads import download_url
from ui.services import Services
from ui.words import sentences, t
from ui.words.amounts import count
from workbench.recipes.synthesize import COUNT, DROPPED, PASSAGE, SynthesizeRecipe
from workbench.records import Dataset, Job, JobStatus
from workbench.synthesis.questions import CHINESE, ENGLISH

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


@dataclass(frozen=True)
class Synthesize:
    box: gr.Accordion
    form: form.Form
    templates: Mapping[str, gr.Textbox]
    preview: gr.Button
    start: gr.Button
    job: JobSlot
    report: gr.HTML

    @property
    def own(self) -> list[Any]:
        """What a job changes."""
        return [*self.job.outputs, self.report]

    @property
    def outputs(self) -> list[Any]:
        menus = [self.form.components[name] for name in ("local_model", "round_trip")]
        return [self.box, *menus, *self.own]


def render(services: Services) -> Synthesize:
    """Draw it inside the current block."""
    with gr.Accordion(t("synth.title"), open=False, visible=False, elem_id="data-synth") as box:
        piece(heading(t("synth.heading"), t("synth.about")))
        drawn = form.render(SynthesizeRecipe, skip=_SKIP, prefix="synth")
        choices.offer_keys(services.workspace, drawn.components["key_variable"])
        for name, empty in _EMPTY.items():
            field = drawn.components[name]
            if isinstance(field, gr.Textbox):
                field.placeholder = t(empty)
        with gr.Accordion(t("group.prompt"), open=False, elem_id="synth-prompt"):
            templates = {
                name: gr.Textbox(
                    value=text,
                    label=form.label(name),
                    info=t("synth.template_help", passage=PASSAGE, n=COUNT),
                    lines=10,
                    interactive=True,
                    elem_id=f"synth-{name}",
                )
                for name, text in _TEMPLATES.items()
            }
        with gr.Row(elem_classes="rw-actions"):
            preview = gr.Button(t("synth.preview"), elem_id="synth-preview")
            start = gr.Button(t("synth.start"), variant="primary", elem_id="synth-start")
        job = JobSlot("synth-job")
        report = piece(elem_id="synth-report")
    return Synthesize(box, drawn, templates, preview, start, job, report)


def listen(
    services: Services,
    synth: Synthesize,
    chosen: gr.Textbox,
) -> None:
    jobs = services.workspace.jobs
    helps = {spec.name: spec.help for spec in synth.form.specs}
    helps |= dict.fromkeys(_TEMPLATES, t("synth.template_help", passage=PASSAGE, n=COUNT))

    def starter(preview: bool) -> Callable[..., list[Any]]:
        def start(name: str, english: str, chinese: str, *raw: Any) -> list[Any]:
            def act() -> list[Any]:
                values = {**synth.form.values(raw), "preview": preview}
                values |= {"template_en": english or "", "template_zh": chinese or ""}
                if preview:
                    values["passages"] = min(FEW, values["passages"] or FEW)
                name_shown = shown_dataset(services.workspace, name)
                jobs.submit(SynthesizeRecipe.read({**values, "dataset": name_shown}))
                return own(services, newest(services, TASKS, name_shown))

            return told_at_fields(act, helps, len(synth.own))

        return start

    synth.job.listen(services, lambda id: own(services, jobs.get(id)), [], synth.own)
    fields = [*synth.form.inputs, *synth.templates.values()]
    inputs = [chosen, *synth.templates.values(), *synth.form.inputs]
    for button, preview, word in (
        (synth.preview, True, "synth.preview"),
        (synth.start, False, "synth.start"),
    ):
        on_busy(
            button,
            starter(preview),
            inputs,
            [*synth.own, *fields],
            says=t("synth.asking"),
            then=t(word),
        )
    form.listen_depends(synth.form)


def changed(services: Services, synth: Synthesize, name: str, card: str) -> dict[Any, Any] | None:
    """What a look after the job changes; None: there is a new version, of which the whole tab
    tells. ``card`` is what stands in ``Synthesize.job``."""
    job = newest(services, TASKS, name)
    if str(card_html(job)) == card:
        return {}
    if job is not None and job.status is JobStatus.SUCCEEDED and job.result:
        return None
    return dict(zip(synth.own, own(services, job), strict=True))


def view(services: Services, dataset: Dataset | None, fresh: bool = True) -> list[Any]:
    """Updates for ``Synthesize.outputs``. Where there are documents only, this comes next; what a
    person folded stays so, while the data set is not shown afresh."""
    if dataset is None or not dataset.summary.get("documents"):
        skipped = [gr.skip()] * 2
        return [gr.Accordion(visible=False), *skipped, *updates(EMPTY), EMPTY]
    nothing = (t("synth.none"), "")
    names = [*choices.model_names(services.workspace), "bm25"]
    menus = [
        gr.update(choices=[nothing]),
        gr.update(choices=[nothing, *((name, name) for name in names)]),
    ]
    bare = not dataset.summary.get("queries") and not dataset.summary.get("pairs")
    box = gr.Accordion(visible=True, open=True) if bare and fresh else gr.Accordion(visible=True)
    return [box, *menus, *own(services, newest(services, TASKS, dataset.name))]


def own(services: Services, job: Job | None) -> list[Any]:
    """Updates for ``Synthesize.own``."""
    return [*updates(card_html(job), job), str(report_html(services, job))]


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
