"""Answers on the Search tab: a question, who writes, and the answer as it is written."""

import json
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.kit import choices, form
from ui.kit.events import on, on_busy, told_at_fields
from ui.kit.live import scripts, settings
from ui.kit.markup import piece
from ui.services import Services
from ui.words import section, t
from workbench.answers import answer_settings
from workbench.answers.prepare import prepare
from workbench.answers.prompt import CHINESE, ENGLISH
from workbench.errors import BadInput
from workbench.recipes.answer import NOTHING, PASSAGES, QUESTION, AnswerRecipe

_TEMPLATES = {"template_en": ENGLISH, "template_zh": CHINESE}
#: These come from the left side of the search, above.
_ABOVE = ("index", "reranker", "where")


@dataclass(frozen=True)
class Answers:
    box: gr.Accordion
    question: gr.Textbox
    ask: gr.Button
    form: form.Form
    templates: dict[str, gr.Textbox]
    key: gr.HTML
    #: Its value is what is asked, as JSON; the script asks it and shows what comes.
    shown: gr.HTML

    @property
    def fields(self) -> list[Any]:
        return [*self.form.inputs, *self.templates.values()]


def render(services: Services) -> Answers:
    with gr.Accordion(t("answer.title"), open=False, elem_id="search-answers") as box:
        piece(Markup('<p class="rw-quiet">{}</p>').format(t("answer.about")))
        question = gr.Textbox(
            label=t("answer.question"), max_lines=4, interactive=True, elem_id="answer-question"
        )
        with gr.Row(elem_classes="rw-actions"):
            ask = gr.Button(t("answer.ask"), variant="primary", elem_id="answer-ask")
        shown = gr.HTML(
            html_template=settings({"base": services.root_path, "words": section("answering")}),
            js_on_load="window.Workbench.answers(element, props, watch)",
            head=scripts(services, "common.js", "answers.js"),
            elem_id="answer-shown",
            apply_default_css=False,
        )
        with gr.Accordion(t("answer.who"), open=False, elem_id="answer-who"):
            drawn = form.render(AnswerRecipe, skip=(*_ABOVE, *_TEMPLATES), prefix="answer")
            choices.offer_keys(services.workspace, drawn.components["key_variable"])
            key = piece(str(key_html(services, "")), elem_id="answer-key")
            with gr.Accordion(t("group.prompt"), open=False, elem_id="answer-prompt"):
                templates = {name: _template(name, text) for name, text in _TEMPLATES.items()}
    return Answers(box, question, ask, drawn, templates, key, shown)


def _template(name: str, text: str) -> gr.Textbox:
    return gr.Textbox(
        value=text,
        label=form.label(name),
        info=_template_help(),
        lines=10,
        interactive=True,
        elem_id=f"answer-{name}",
    )


def _template_help() -> str:
    places = {"passages": PASSAGES, "question": QUESTION, "nothing": NOTHING}
    return t("answer.template_help", **places)


def listen(services: Services, answers: Answers, above: Sequence[Any]) -> None:
    """``above``: the components of the index, its second stage, and the filter."""
    helps = {spec.name: spec.help for spec in answers.form.specs}
    helps |= dict.fromkeys(_TEMPLATES, _template_help())
    names = [spec.name for spec in answers.form.specs]

    def ask(
        question: str | None, index: str | None, second: str | None, where: str | None, *raw: Any
    ) -> list[Any]:
        def act() -> list[Any]:
            if not index:
                raise BadInput(t("search.no_index"), t("search.no_index_hint"))
            values = values_of(answers, raw)
            values |= {"index": index, "reranker": second or None, "where": where or ""}
            recipe = prepare(services.workspace, AnswerRecipe.read(values), question or "")
            answer_settings.save(services.workspace, recipe)
            return [asked(recipe, question or ""), str(key_html(services, recipe.key_variable))]

        return told_at_fields(act, helps, 2)

    def opened(*raw: Any) -> list[Any]:
        """The kept settings, unless something was typed since the page was drawn."""
        found = answer_settings.load(services.workspace)
        if not found or values_of(answers, raw) != _first(answers):
            named = str(raw[names.index("key_variable")] or "")
            return [gr.skip()] * len(raw) + [key_html(services, named)]
        shown = [form.to_component(spec, found[spec.name]) for spec in answers.form.specs]
        templates = [found[name] or text for name, text in _TEMPLATES.items()]
        return [*shown, *templates, key_html(services, found["key_variable"])]

    inputs = [answers.question, *above, *answers.fields]
    outputs = [answers.shown, answers.key, *answers.fields]
    busy: dict[str, Any] = {"says": t("answer.asking"), "then": t("answer.ask")}
    on_busy(answers.ask, ask, inputs, outputs, **busy)
    on_busy(answers.ask, ask, inputs, outputs, listener=answers.question.submit, **busy)
    on(answers.box.expand, opened, answers.fields, [*answers.fields, answers.key])
    variable = answers.form.components["key_variable"]
    assert isinstance(variable, gr.Dropdown)
    on(variable.change, lambda name: key_html(services, name), variable, answers.key)
    form.listen_depends(answers.form)


def values_of(answers: Answers, raw: Sequence[Any]) -> dict[str, Any]:
    """What the fields hold; a template as it is built in counts as none."""
    count = len(answers.form.specs)
    typed = zip(_TEMPLATES.items(), raw[count:], strict=True)
    own = {
        name: "" if (text or "").strip() == built_in.strip() else text or ""
        for (name, built_in), text in typed
    }
    return answers.form.values(raw[:count]) | own


def _first(answers: Answers) -> dict[str, Any]:
    """What the fields hold before anything is typed."""
    shown = [form.to_component(spec, spec.default) for spec in answers.form.specs]
    return values_of(answers, [*shown, *_TEMPLATES.values()])


def asked(recipe: AnswerRecipe, question: str) -> str:
    """What the script is to ask; a question that is asked again is another one."""
    about = {"recipe": recipe.model_dump(), "question": question, "mark": secrets.token_hex(4)}
    return json.dumps(about)


def key_html(services: Services, variable: str | None) -> Markup:
    """Whether there is a key, never what it is; of other variables than may be sent, nothing."""
    allowed = [name for name, _ in services.workspace.endpoint_keys.pairs]
    if not variable or variable not in allowed:
        words = t("answer.keys_allowed" if allowed else "answer.keys_none")
    else:
        there = bool(os.environ.get(variable, "").strip())
        words = t("answer.key_set" if there else "answer.key_unset", variable=variable)
    return Markup('<p class="rw-quiet rw-small">{}</p>').format(words)
