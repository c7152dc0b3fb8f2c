"""The recipe that brings an index up to date with its data set and its model."""

from typing import ClassVar

from workbench.recipes.base import Recipe, setting


class IndexUpdateRecipe(Recipe):
    """Bring an index up to date: add new documents, take out those that are gone; build it anew
    where its model has changed."""

    task: ClassVar[str] = "index-update"

    index: str = setting(
        help="The index that is brought up to date.",
        refers_to="index",
        min_length=1,
        max_length=200,
    )
    leave_out: list[str] = setting(
        [],
        help="Documents, by their ids, that the index is to be without from now on.",
        widget="lines",
        max_length=10_000,
    )
    take_back: list[str] = setting(
        [],
        help="Documents, by their ids, that were left out and are to be found again.",
        widget="lines",
        advanced=True,
        max_length=10_000,
    )
    rebuild: bool = setting(
        False,
        help="Build it anew with its own settings even where adding and removing would do.",
        advanced=True,
    )
