"""The recipe of a look at a hub's data set, before it is imported."""

from typing import ClassVar

from workbench.recipes.base import Recipe, setting


class HubLookRecipe(Recipe):
    """See which subsets, splits and columns a hub's data set has, from its first rows."""

    task: ClassVar[str] = "hub-look"

    dataset_id: str = setting(
        help="The data set on the hub, as OWNER/NAME or hf:OWNER/NAME.", min_length=1
    )
    subset: str = setting(
        "",
        help="Its subset (configuration); empty takes the default or the first.",
        max_length=200,
    )
