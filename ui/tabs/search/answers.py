"""Answers on the Search tab: a question, who writes, and the answer as it is written."""

import json
import os
import secrets
from collections.abc import Sequence
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.kit import choices, form
from ui.kit.events import on, on_busy
from ui.kit.live import scripts, settings
from ui.kit.markup import piece
from ui.services import Services
from ui.tabs.search.options import Options
from ui.words import section, t
from workbench.answers.answer import load_settings, prepare, save_settings
from workbench.answers.prompt import CHINESE, ENGLISH
from workbench.errors import BadInput
from workbench.recipes.answer import NOTHING, PASSAGES, QUESTION, AnswerRecipe

_TEMPLATES = {"template_en": ENGLISH, "template_zh": CHINESE}
#: These come from the left side of the search, above.
_ABOVE = ("index", "reranker", "where")


class Answers:
    """A question, the settings of who writes, and the answer as it is written."""

    def __init__(self, services: Services) -> None:
        self.services = services
        with gr.Accordion(t("answer.title"), open=False, elem_id="search-answers") as self.box:
            piece(Markup('<p class="rw-quiet">{}</p>').format(t("answer.about")))
            self.question = gr.Textbox(
                label=t("answer.question"), max_lines=4, interactive=True, elem_id="answer-question"
            )
            with gr.Row(elem_classes="rw-actions"):
                self.ask = gr.Button(t("answer.ask"), variant="primary", elem_id="answer-ask")
            #: Its value is what is asked, as JSON; the script asks it and shows what comes.
            self.shown = gr.HTML(
                html_template=settings({"base": services.root_path, "words": section("answering")}),
                js_on_load="window.Workbench.answers(element, props, watch)",
                head=scripts(services, "common.js", "answers.js"),
                elem_id="answer-shown",
                apply_default_css=False,
            )
            with gr.Accordion(t("answer.who"), open=False, elem_id="answer-who"):
                self._draw_settings()
        self.fields = [*self.form.inputs, *self.templates.values()]

    def _draw_settings(self) -> None:
        self.form = form.render(AnswerRecipe, skip=(*_ABOVE, *_TEMPLATES), prefix="answer")
        #: The menu of the variable that holds the key.
        self.variable = self.form.components["key_variable"]
        choices.offer_keys(self.services.workspace, self.variable)
        self.key = piece(str(key_html(self.services, "")), elem_id="answer-key")
        with gr.Accordion(t("group.prompt"), open=False, elem_id="answer-prompt"):
            self.templates = {name: _template(name, text) for name, text in _TEMPLATES.items()}

    def listen(self, options: Options) -> None:
        """``options``: the left side is asked."""
        inputs = [self.question, options.index, options.second, options.where, *self.fields]
        for event in (self.ask.click, self.question.submit):
            on_busy(
                *(self.ask, self._ask, inputs, [self.shown, self.key, *self.fields]),
                says=t("answer.asking"),
                then=t("answer.ask"),
                listener=event,
            )
        on(self.box.expand, self._opened, self.fields, [*self.fields, self.key])
        assert isinstance(self.variable, gr.Dropdown)
        named = lambda name: key_html(self.services, name)  # noqa: E731
        on(self.variable.change, named, self.variable, self.key)
        form.listen_depends(self.form)

    def _ask(
        self,
        question: str | None,
        index: str | None,
        second: str | None,
        where: str | None,
        *raw: Any,
    ) -> dict[Any, Any]:
        def act() -> dict[Any, Any]:
            if not index:
                raise BadInput(t("search.no_index"), t("search.no_index_hint"))
            values = self.values(raw)
            values |= {"index": index, "reranker": second or None, "where": where or ""}
            workspace = self.services.workspace
            recipe = prepare(workspace, AnswerRecipe.read(values), question or "")
            save_settings(workspace, recipe)
            key = str(key_html(self.services, recipe.key_variable))
            return {self.shown: asked(recipe, question or ""), self.key: key}

        return self.form.answer(act, self.templates)

    def _opened(self, *raw: Any) -> dict[Any, Any]:
        """The kept settings, unless something was typed since the page was drawn."""
        found = load_settings(self.services.workspace)
        if not found or self.values(raw) != self._first():
            named = dict(zip(self.fields, raw, strict=True))[self.variable]
            return {self.key: key_html(self.services, str(named or ""))}
        shown = {
            self.form.components[spec.name]: form.to_component(spec, found[spec.name])
            for spec in self.form.specs
        }
        shown |= {self.templates[name]: found[name] or text for name, text in _TEMPLATES.items()}
        return {**shown, self.key: key_html(self.services, found["key_variable"])}

    def values(self, raw: Sequence[Any]) -> dict[str, Any]:
        """What the fields hold; a template as it is built in counts as none."""
        count = len(self.form.specs)
        typed = zip(_TEMPLATES.items(), raw[count:], strict=True)
        own = {
            name: "" if (text or "").strip() == built_in.strip() else text or ""
            for (name, built_in), text in typed
        }
        return self.form.values(raw[:count]) | own

    def _first(self) -> dict[str, Any]:
        """What the fields hold before anything is typed."""
        shown = [form.to_component(spec, spec.default) for spec in self.form.specs]
        return self.values([*shown, *_TEMPLATES.values()])


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
