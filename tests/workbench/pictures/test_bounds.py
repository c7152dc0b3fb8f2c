"""What opening a picture takes is bounded before it is taken, whatever a header promises."""

import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.workbench.data.fakes import bring
from tests.workbench.pictures.fakes import bomb, encoded, noise, plain
from workbench.data.problems import PROBLEMS
from workbench.errors import PictureUnusable
from workbench.limited import LimitedProcess
from workbench.pictures import opening
from workbench.pictures.opening import MOST_MEMORY, MOST_OUT, memory, open_picture
from workbench.pictures.store import thumbnail
from workbench.workspace import Workspace

#: Less than one of these pictures would take if it were unpacked as it says.
ROOM = 300 << 20
HERE = f"{__name__}:size_of"


def size_of(_request: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    """What a test asks a process of little memory."""
    return {"size": open_picture(data).size}, b""


@pytest.fixture(scope="module")
def small() -> Any:
    process = LimitedProcess(HERE, memory=ROOM, seconds=120)
    yield lambda data: tuple(process.ask({}, data)[0]["size"])
    process.close()


def header(form: str, size: tuple[int, int], mode: str, **info: Any) -> Image.Image:
    """An open picture as far as its header goes: nothing is unpacked, and nothing allocated."""
    image = Image.Image()
    image._mode, image._size, image.info = mode, size, info
    image.format = form
    return image


@pytest.mark.parametrize("size", [(1_000_000, 10), (10, 1_000_000), (400_000, 1), (200_000, 60)])
def test_edges_of_a_thin_picture_are_bounded(small: Any, size: tuple[int, int]) -> None:
    """A ratio of 1:16 made 187 GB of a million by ten."""
    width, height = small(encoded(Image.new("1", size, 1)))
    assert width * height <= MOST_OUT and max(width, height) <= 16 * min(width, height)


def test_a_thin_picture_that_fits_is_as_it_was() -> None:
    assert open_picture(plain("red", (6000, 3))).size == (6000, 375)


@pytest.mark.parametrize("size", [(11_000, 9_500), (60_000, 1_900), (1_000_000, 17)])
def test_a_tiny_file_does_not_promise_many_pixels(small: Any, size: tuple[int, int]) -> None:
    with pytest.raises(PictureUnusable) as caught:
        small(bomb(*size))
    assert caught.value.problem == "picture-too-large"
    assert "177 bytes" in caught.value.detail


@pytest.mark.parametrize(
    ("form", "mode", "fits", "not_"),
    [
        ("PNG", "RGB", (8_000, 8_000), (8_200, 8_200)),
        ("PNG", "1", (10_000, 10_000), (10_700, 10_700)),
        ("PNG", "I;16", (9_000, 9_000), (9_500, 9_500)),
        ("TIFF", "CMYK", (6_600, 6_600), (6_700, 6_700)),
        ("TIFF", "F", (6_600, 6_600), (6_700, 6_700)),
        ("WEBP", "RGBA", (5_100, 5_100), (5_200, 5_200)),
        ("AVIF", "RGB", (4_700, 4_700), (4_800, 4_800)),
        ("JPEG2000", "RGB", (3_600, 3_600), (3_700, 3_700)),
    ],
)
def test_what_each_format_takes_is_known_beforehand(
    form: str, mode: str, fits: tuple[int, int], not_: tuple[int, int]
) -> None:
    assert memory(header(form, fits, mode), fits, fits) <= MOST_MEMORY
    assert memory(header(form, not_, mode), not_, not_) > MOST_MEMORY


def test_a_progressive_jpeg_is_held_whole_however_small_it_comes() -> None:
    """Two bytes for each of its values; colours may be sampled at half the places."""
    size, read = (10_000, 10_000), (2_500, 2_500)
    image = header("JPEG", size, "RGB", progressive=1)
    assert memory(image, size, read) == 10**8 * 2 * 3 + 2_500**2 * 8
    image.layer = [(1, 2, 2, 0), (2, 1, 1, 1), (3, 1, 1, 1)]  # type: ignore[attr-defined]
    assert memory(image, size, read) == 10**8 * 2 * 1.5 + 2_500**2 * 8
    assert memory(header("JPEG", size, "RGB"), size, read) == 2_500**2 * 8


def test_a_large_picture_is_handed_on_smaller() -> None:
    """By a whole number: the same colours, and what a batch takes is bounded."""
    large = Image.new("RGB", (6_000, 3_000), "blue")
    large.paste((255, 0, 0), (0, 0, 3_000, 3_000))
    for form in ("PNG", "JPEG", "GIF"):
        found = open_picture(encoded(large, form))
        assert found.size == (3_000, 1_500)
        left, right = found.getpixel((500, 700)), found.getpixel((2_500, 700))
        assert isinstance(left, tuple) and isinstance(right, tuple)
        assert left[0] > 240 and right[2] > 240


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "I;16", "I"])
def test_conversions_are_made_some_rows_at_a_time(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And give what converting the whole gave."""
    image = Image.effect_mandelbrot((120, 90), (-2, -1.5, 1, 1.5), 60)
    other = image.convert("RGB" if mode == "P" else "L").convert(mode)
    if mode == "RGBA":
        other.putalpha(image)
    data = encoded(other)
    whole = open_picture(data)
    monkeypatch.setattr("workbench.pictures.opening._BAND", 500)
    assert open_picture(data).tobytes() == whole.tobytes()


def tiff_with_a_giant_tile() -> bytes:
    """An 8 x 8 picture that says its one tile has 30,000 x 60,000 pixels."""
    entries = [
        (256, 8), (257, 8), (258, 8), (259, 8), (262, 1), (277, 1), (322, 30_000), (323, 60_000),
        (324, 200), (325, 20),
    ]  # fmt: skip
    out = b"II*\0" + (8).to_bytes(4, "little") + len(entries).to_bytes(2, "little")
    for tag, value in entries:
        out += tag.to_bytes(2, "little") + (4).to_bytes(2, "little") + (1).to_bytes(4, "little")
        out += value.to_bytes(4, "little")
    return (out + b"\0" * 4).ljust(200, b"\0") + b"x" * 20


def png_with_a_note(size: int) -> bytes:
    """A picture whose compressed note unpacks to so many bytes."""
    from PIL.PngImagePlugin import PngInfo

    note = PngInfo()
    note.add_text("comment", "x" * size, zip=True)
    return encoded(Image.new("RGB", (24, 16), "red"), "PNG", pnginfo=note)


def test_long_notes_are_nothing_but_gigantic_ones_are_too_large(small: Any) -> None:
    assert small(png_with_a_note(8 << 20)) == (24, 16)
    with pytest.raises(PictureUnusable) as caught:
        small(png_with_a_note(20 << 20))
    assert (caught.value.problem, caught.value.detail) == (
        "picture-too-large",
        "notes of more than 16 MB",
    )


@pytest.mark.parametrize("data", [tiff_with_a_giant_tile()])
def test_what_no_header_tells_meets_the_limit(small: Any, data: bytes) -> None:
    try:
        small(data)
    except PictureUnusable as error:
        assert error.problem in PROBLEMS
    # The process is there still, or anew.
    assert small(plain()) == (24, 16)


def test_the_app_and_an_import_do_not_open_pictures_themselves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Good ones are kept, each bad one is a problem with its file; thumbnails come from the same
    process."""

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("a picture was opened in this process")

    monkeypatch.setattr("workbench.pictures.opening.open_picture", refuse)
    monkeypatch.setattr("workbench.pictures.opening.open_picture", refuse)
    monkeypatch.setattr(Image, "open", refuse)
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr("a-good-one.png", plain("green"))
        archive.writestr("a-tiny-bomb.png", bomb(11_000, 9_500))
        archive.writestr("a-hair-thin-line.png", THIN)
        archive.writestr("no-picture.jpg", b"hello")
        archive.writestr("another-good-one.jpg", NOISE)
    workspace = Workspace.open(tmp_path / "home")
    result, reader = bring(workspace, tmp_path / "set.zip", name="bounded")
    assert result["documents"] == 3
    said = {(one["file"], one["code"]) for one in result["problems"] if one["severity"] == "error"}
    assert said == {
        ("set.zip/a-tiny-bomb.png", "picture-too-large"),
        ("set.zip/no-picture.jpg", "picture-unknown"),
    }
    assert thumbnail(workspace, reader.name, None, 0, 64)[:4] == b"RIFF"
    workspace.close()


THIN = encoded(Image.new("1", (1_000_000, 10), 1))
NOISE = noise(7, 40, "JPEG")


def test_a_crash_and_a_hang_are_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    for error, problem in (
        (opening.Ended, "picture-broken"),
        (opening.TookTooLong, "picture-too-slow"),
        (opening.NeededTooMuch, "picture-too-large"),
    ):
        monkeypatch.setattr(opening.POOL, "ask", _raising(error))
        with pytest.raises(PictureUnusable) as caught:
            opening.check_apart(plain())
        assert caught.value.problem == problem in PROBLEMS


def _raising(error: type[Exception]) -> Any:
    def ask(*_: Any) -> Any:
        raise error

    return ask
