"""What a trained model is worth elsewhere, drawn."""

import re
from types import SimpleNamespace as Some
from typing import Any

import pytest

from tests.workbench.comparison.test_trained import AUTO, FORGOTTEN
from ui.kit.forgetting import forgotten_html
from ui.tabs.compare.curve import forgotten_of
from ui.words import LANGUAGE, LANGUAGES, speaking


def test_the_curve_the_table_and_the_smaller_share() -> None:
    drawn = str(forgotten_html({**AUTO, "forgetting": FORGOTTEN}))
    assert "On the general set stdlib-code: MAP@100 0.710 -&gt; 0.680" in drawn
    # Five points of the general set and three of the person's, and a dot beside each name.
    assert drawn.count('<circle class="general"') == 6
    assert drawn.count('<circle class="own"') == 4
    assert "1 (kept)" in drawn and "keep 94% of its gain" in drawn


def test_without_the_persons_queries_there_is_one_line() -> None:
    curve = [{**one, "own": None} for one in FORGOTTEN["curve"]]
    drawn = str(forgotten_html({**AUTO, "forgetting": {**FORGOTTEN, "curve": curve}}))
    assert 'class="own"' not in drawn and drawn.count('<circle class="general"') == 6


def test_what_was_not_measured_is_said_and_no_set_is_nothing() -> None:
    note = {"dataset": "x", "note": "Forgetting was not measured on 'x': it is gone."}
    assert "it is gone" in str(forgotten_html({**AUTO, "forgetting": note}))
    assert forgotten_html(AUTO) == ""


@pytest.mark.parametrize("other", [name for name in LANGUAGES if name != LANGUAGE])
@pytest.mark.parametrize("change", [{}, {"ci95": None}])
def test_all_of_it_can_be_read(other: str, change: dict[str, Any]) -> None:
    with speaking(other):
        drawn = str(forgotten_html({**AUTO, "forgetting": {**FORGOTTEN, **change}}))
    words = re.sub(r"<[^>]*>|stdlib-code|&[a-z]+;", " ", drawn)
    assert not re.search("[a-z]{3}", words), words


def test_compare_shows_each_model_that_has_a_curve_on_record() -> None:
    records = {"mine": {**AUTO, "forgetting": FORGOTTEN}, "base": {}}
    models = Some(exists=records.__contains__, get=lambda name: Some(summary=records[name]))
    workspace: Any = Some(models=models)
    shown = str(forgotten_of(workspace, ["base", "mine", "mine", "bm25"]))
    assert shown.count("<h2>mine</h2>") == shown.count("<svg") == 1 and "<h2>base" not in shown
    assert "<svg" not in forgotten_of(workspace, ["base", "bm25"])
