"""Errors become sentences in one place."""

import logging
from typing import Any

import gradio as gr
import pytest

from ui.kit.events import answered, field_messages, guarded, told
from ui.words import speaking, t
from workbench.errors import BadInput, BadRecipe, InUse, SearchUnavailable, WorkbenchError
from workbench.recipes.evaluate import EvaluateRecipe


def test_an_error_of_ours_is_its_own_sentence() -> None:
    def fails() -> None:
        raise BadInput("There is no file.", "Drop one.")

    with pytest.raises(gr.Error) as raised:
        guarded(fails)()
    title = t("feedback.bad_input")
    assert raised.value.message == f"<strong>{title}</strong><br>There is no file. Drop one."
    assert raised.value.title == t("feedback.bad_input")
    assert not raised.value.print_exception


def test_a_failure_that_is_not_the_persons_has_another_title() -> None:
    assert told(SearchUnavailable("No.")).title == t("feedback.failed")


def test_a_toasts_title_is_in_the_language_spoken() -> None:
    """Gradio shows its own English word in the place of the title."""
    with speaking("zh"):
        assert told(SearchUnavailable("No.")).message.startswith("<strong>操作未成功</strong>")


def test_what_was_not_foreseen_is_one_quiet_sentence_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fails() -> None:
        raise RuntimeError("secret path /home/somebody")

    with caplog.at_level(logging.ERROR), pytest.raises(gr.Error) as raised:
        guarded(fails)()
    assert raised.value.message.endswith(f"<br>{t('feedback.unexpected')}")
    assert "secret" not in raised.value.message
    assert "secret path" in caplog.text
    assert "Traceback" in caplog.text


def test_text_from_data_in_an_error_is_escaped() -> None:
    message = told(BadInput("There is no '<img src=x onerror=alert(1)>'.")).message
    assert "<img" not in message
    assert "&lt;img" in message


def test_a_bad_recipe_says_which_field() -> None:
    with pytest.raises(BadRecipe) as raised:
        EvaluateRecipe.read({"dataset": "d", "models": [], "top_k": 1})
    said = field_messages(raised.value, ["dataset", "models", "top_k"])
    assert set(said) == {"models", "top_k"}
    assert all(text.endswith(".") for text in said.values())
    assert field_messages(BadInput("x"), ["models"]) == {}


def test_what_went_well_is_handed_on() -> None:
    assert guarded(lambda a, b: a + b)(1, 2) == 3


def refuse(error: Exception) -> Any:
    raise error


def test_a_refusal_stands_at_its_field_and_changes_nothing_else() -> None:
    with gr.Blocks():
        other, a, b = (gr.Textbox(info=info) for info in (None, "help a", "help b"))
    fields = {"a": a, "b": b}
    bad = BadRecipe("b: no.", fields={"b": "No."})
    # Gradio's toast is a warning of Python's where there is no page.
    with pytest.warns(UserWarning, match="b: No."):
        found = answered(lambda: refuse(bad), fields)
    assert found.keys() == {a, b}
    assert (found[a]["info"], found[a]["elem_classes"]) == ("help a", [])
    assert (found[b]["info"], found[b]["elem_classes"]) == ("No.", ["rw-refused"])
    done = answered(lambda: {other: "done", a: ""}, fields)
    assert (done[other], done[a]["value"], done[a]["info"]) == ("done", "", "help a")
    assert "value" not in done[b]
    for error in (InUse("busy"), BadRecipe("busy", fields={"c": "."})):
        with pytest.warns(UserWarning, match="busy"):
            found = answered(lambda error=error: refuse(error), fields)
        # What stood at a field before is mended, or this would have been said again.
        assert found.keys() == {a, b}
        assert (found[b]["info"], found[b]["elem_classes"]) == ("help b", [])
    with pytest.raises(WorkbenchError):
        answered(lambda: refuse(WorkbenchError("broken")), fields)
