"""Answers on the Search tab: what is asked, what is kept, and that no key is among it."""

import json

import gradio as gr
import pytest

from tests.storage import make
from tests.ui.visitor import drawn
from ui.services import Services
from ui.tabs.search.answers import Answers, asked, key_html
from workbench.answers import answer
from workbench.answers.prompt import CHINESE, ENGLISH
from workbench.endpoints import EndpointKeys
from workbench.recipes.answer import AnswerRecipe


@pytest.fixture
def answers(services: Services) -> Answers:
    services.workspace.store.indexes.insert(make.index("i1", "tea"))
    return drawn(Answers, services)


def raw(answers: Answers, **typed: object) -> list[object]:
    """What the components send."""
    values = {spec.name: spec.default for spec in answers.form.specs}
    values |= {"template_en": ENGLISH, "template_zh": CHINESE} | typed
    return list(values.values())


def test_the_form_has_every_setting_once(answers: Answers) -> None:
    shown = [spec.name for spec in answers.form.specs] + list(answers.templates)
    assert sorted([*shown, "index", "reranker", "where"]) == sorted(AnswerRecipe.model_fields)


def test_what_is_typed_becomes_a_recipe(answers: Answers) -> None:
    values = answers.values(raw(answers, endpoint=" http://x/v1/ ", endpoint_model="m"))
    recipe = AnswerRecipe.read({**values, "index": "tea"})
    assert (recipe.endpoint, recipe.endpoint_model) == ("http://x/v1", "m")
    assert (recipe.template_en, recipe.min_score, recipe.temperature) == ("", None, None)
    own = answers.values(raw(answers, template_en="{passages} {question}!"))
    assert own["template_en"] == "{passages} {question}!"


def test_a_question_asked_again_is_another(answers: Answers) -> None:
    recipe = AnswerRecipe(index="tea")
    first, second = asked(recipe, "</div><script>"), asked(recipe, "</div><script>")
    assert first != second
    assert json.loads(first)["question"] == "</div><script>"


def test_a_key_is_named_never_shown(monkeypatch: pytest.MonkeyPatch, services: Services) -> None:
    monkeypatch.setenv("MY_KEY", "sk-secret-123")
    monkeypatch.setenv("NOT_ALLOWED", "x")
    services.workspace.endpoint_keys = EndpointKeys.read(["MY_KEY=http://x", "UNSET=http://x"])
    assert "MY_KEY holds a key" in key_html(services, "MY_KEY")
    assert "UNSET is not set" in key_html(services, "UNSET")
    # Whether any other variable is set is nobody's business.
    assert key_html(services, "NOT_ALLOWED") == key_html(services, "NOT_SET_EITHER")
    recipe = AnswerRecipe(
        index="tea", endpoint="http://x/v1", endpoint_model="m", key_variable="MY_KEY"
    )
    answer.save_settings(services.workspace, recipe)
    shown = asked(recipe, "q") + key_html(services, "MY_KEY")
    everything = services.workspace.path(answer.SETTINGS_FILE).read_text() + shown
    assert "sk-secret-123" not in everything


def test_the_menu_offers_what_may_be_sent(services: Services) -> None:
    def offered() -> list[tuple[str, str]]:
        menu = drawn(Answers, services).variable
        assert isinstance(menu, gr.Dropdown)
        return list(menu.choices or [])  # type: ignore[arg-type]

    assert [value for _, value in offered()] == [""]
    pairs = ["MY_KEY=http://x", "MY_KEY=http://y:8000", "OTHER=https://z"]
    services.workspace.endpoint_keys = EndpointKeys.read(pairs)
    assert offered()[1:] == [
        ("MY_KEY → http://x, http://y:8000", "MY_KEY"),
        ("OTHER → https://z", "OTHER"),
    ]


def test_a_kept_key_that_may_not_be_sent_any_more_is_left_out(services: Services) -> None:
    recipe = AnswerRecipe(
        index="tea", endpoint="http://x/v1", endpoint_model="m", key_variable="MY_KEY"
    )
    answer.save_settings(services.workspace, recipe)
    assert answer.load_settings(services.workspace)["key_variable"] == ""
    services.workspace.endpoint_keys = EndpointKeys.read(["MY_KEY=http://x"])
    assert answer.load_settings(services.workspace)["key_variable"] == "MY_KEY"


def test_settings_are_kept_without_the_question(services: Services) -> None:
    assert answer.load_settings(services.workspace) == {}
    recipe = AnswerRecipe(
        index="tea", reranker="r", where="a = 1", local_model="/models/q", top_k=3
    )
    answer.save_settings(services.workspace, recipe)
    found = answer.load_settings(services.workspace)
    assert (found["local_model"], found["top_k"]) == ("/models/q", 3)
    assert not {"index", "reranker", "where"} & set(found)
    services.workspace.path(answer.SETTINGS_FILE).write_text('{"top_k": "many"}')
    assert answer.load_settings(services.workspace) == {}
    services.workspace.path(answer.SETTINGS_FILE).write_text("[1]")
    assert answer.load_settings(services.workspace) == {}


def test_a_writer_that_is_named_takes_the_place_of_the_kept_one() -> None:
    before = {"endpoint": "http://x", "endpoint_model": "m", "local_model": ""}
    assert answer.settings_over(before, {"local_model": "q"}) == {
        "endpoint": "",
        "endpoint_model": "",
        "local_model": "q",
    }
    assert answer.settings_over({"local_model": "q"}, {"endpoint": "http://y"})["local_model"] == ""
