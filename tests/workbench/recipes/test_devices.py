"""The words that say how many devices train together."""

import pytest

from workbench.errors import BadRecipe
from workbench.recipes.base import how_many, named
from workbench.recipes.train import TrainEmbeddingRecipe


@pytest.mark.parametrize(
    ("typed", "kept"),
    [("2", "2"), (2, "2"), (" ALL ", "all"), ("gpu:0, gpu:2", "gpu:0,gpu:2"), ("", "1")],
)
def test_what_may_be_typed(typed: object, kept: str) -> None:
    assert TrainEmbeddingRecipe.read({"dataset": "d", "devices": typed}).devices == kept


@pytest.mark.parametrize("typed", ["0", "-1", "two", "gpu:", "gpu:0,,gpu:1", "65", True])
def test_what_may_not(typed: object) -> None:
    with pytest.raises(BadRecipe) as caught:
        TrainEmbeddingRecipe.read({"dataset": "d", "devices": typed})
    assert "devices" in str(caught.value)


def test_how_many_that_is() -> None:
    assert how_many("all", ("0", "1", "2")) == 3
    assert how_many("all", ()) == 1
    assert how_many("2", ()) == 2
    assert how_many("gpu:3,gpu:1", ("1", "3")) == 2
    assert named("gpu:3,gpu:1,gpu:3") == ("3", "1")
    assert named("2") == ()
