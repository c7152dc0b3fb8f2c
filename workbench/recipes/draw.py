"""The recipe of the pictures' sample: pictures drawn here, and a small untrained model for them."""

from typing import ClassVar

from workbench.recipes.base import Recipe, setting

#: The sample's model: small, and of random weights.
SMALL_CLIP = "small-clip-untrained"


class DrawPicturesRecipe(Recipe):
    """Draw pictures of coloured shapes with captions, and make a small untrained CLIP for them."""

    task: ClassVar[str] = "draw-pictures"

    name: str = setting(
        "drawn-pictures", help="What the data set is called.", min_length=1, max_length=80
    )
    model: str = setting(
        SMALL_CLIP,
        help="What the model of random weights is called; empty makes none.",
        max_length=120,
    )
    train_pictures: int = setting(3000, help="How many pictures to train on.", ge=50, le=50_000)
    dev_pictures: int = setting(200, help="How many pictures to hold out as dev.", ge=10, le=5_000)
    test_pictures: int = setting(
        600, help="How many pictures to hold out as test.", ge=50, le=5_000
    )
    size: int = setting(
        48, help="Width and height of a picture, and of what the model reads.", ge=32, le=256
    )
    seed: int = setting(
        13,
        help="Decides what is drawn, and the model's random weights.",
        ge=0,
        le=2**31 - 1,
    )
