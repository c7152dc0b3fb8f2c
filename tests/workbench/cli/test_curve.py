"""``learn-curve``: what it takes, and what it says."""

import pytest

from tests.ui.kit.test_learning_curve import MEASURED
from workbench.cli.curve import curve_words
from workbench.cli.main import build_parser
from workbench.errors import BadRecipe
from workbench.recipes.curve import LearningCurveRecipe


def test_the_options_are_the_recipes_fields() -> None:
    words = ["learn-curve", "--dataset", "tea", "--shares", "50,100", "--folds", "2"]
    args = build_parser().parse_args(words)
    given = {name for name in vars(args) if "shares" in name or "folds" in name}
    assert len(given) == 2


def test_a_curve_in_words() -> None:
    said = curve_words({**MEASURED, "model": "base"})
    assert said.splitlines()[2].split() == ["base", "0", "0.500"]
    assert "100%   400   0.570    0.550 0.570 0.590  +0.070  [+0.050, +0.090]" in said
    assert "Hardly anything is left to win." in said
    assert said.endswith("The curve still rises: more labels like these help.")


@pytest.mark.parametrize("shares", ["100", "", "0, 100", "50, 101", "a, b", "25, nan, 100"])
def test_shares_that_make_no_curve_are_refused(shares: str) -> None:
    with pytest.raises(BadRecipe, match="two to 8 shares in percent"):
        LearningCurveRecipe.read({"dataset": "tea", "shares": shares})


def test_shares_are_written_one_way() -> None:
    recipe = LearningCurveRecipe.read({"dataset": "tea", "shares": "100%, 12.5 50,50"})
    assert recipe.shares == "12.5, 50, 100"
    assert recipe.percent == [12.5, 50, 100]
