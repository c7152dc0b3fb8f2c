"""What a picture is called, where only its name says it."""

import pytest

from workbench.pictures.captions import (
    caption_column,
    caption_of_name,
    captions_in,
    picture_column,
)


@pytest.mark.parametrize(
    ("label", "caption"),
    [
        ("icons/address-book-alt.png", "address book alt"),
        ("red_bag_2.PNG", "red bag"),
        ("a/Two Small Cats (3).jpeg", "Two Small Cats"),
        ("a/blueCar.webp", "blue Car"),
        ("a/红色的包.png", "红色的包"),
        # A camera's names say nothing; the folder of a class does.
        ("drop/IMG_20240102.jpg", ""),
        ("drop/images/DSC00012.jpg", ""),
        ("drop/tabby cat/DSC00012.jpg", "tabby cat"),
        ("drop/train/cat/0001.jpg", "cat"),
        ("drop/train/0001.jpg", ""),
        ("0001.jpg", ""),
        ("drop/9f86d081884c7d659a2feaa0c55ad015a3bf4f1b.png", ""),
    ],
)
def test_a_name_as_a_caption(label: str, caption: str) -> None:
    assert caption_of_name(label) == caption


@pytest.mark.parametrize(
    ("columns", "picture", "caption"),
    [
        (["file_name", "text"], "file_name", "text"),
        (["image", "text", "licence"], "image", "text"),
        (["Caption", "Image_Path"], "Image_Path", "Caption"),
        (["filename", "label", "description"], "filename", "description"),
        (["path", "width"], "path", None),
        (["query", "pos"], None, None),
    ],
)
def test_columns_are_known_by_usual_names(
    columns: list[str], picture: str | None, caption: str | None
) -> None:
    assert picture_column(columns) == picture
    if picture is not None:
        assert caption_column(columns, picture) == caption


def test_a_cell_holds_one_caption_or_several() -> None:
    assert captions_in("a  red\nbag ") == ["a red bag"]
    assert captions_in(["one", "two", "one", "", 3]) == ["one", "two"]
    assert captions_in(None) == captions_in(7) == captions_in("  ") == []
