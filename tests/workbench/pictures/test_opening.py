"""Every kind of picture comes out as RGB; what is none, or harmful, as a sentence."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.workbench.pictures.fakes import animated, bomb, encoded, noise, plain, turned
from workbench.data.problems import PROBLEMS
from workbench.errors import BadInput, PictureUnusable
from workbench.pictures.opening import MOST_PIXELS, is_picture, open_picture

WHITE = (255, 255, 255)


def palette() -> bytes:
    image = Image.new("P", (24, 16), 1)
    image.putpalette([0, 0, 0, 255, 0, 0, 0, 0, 255])
    image.paste(0, (0, 0, 12, 16))
    return encoded(image, "PNG", transparency=0)


def sixteen(mode: str) -> Image.Image:
    values = np.linspace(0, 65535, 24 * 16).reshape(16, 24)
    kind = {"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]
    return Image.fromarray(values.astype(kind))


def middle(data: bytes) -> tuple[int, ...]:
    image = open_picture(data)
    found = image.getpixel((image.width // 2, image.height // 2))
    assert isinstance(found, tuple)
    return found


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF"])
def test_usual_formats_are_opened(form: str) -> None:
    image = open_picture(plain((200, 30, 30), (24, 16), form))
    assert (image.mode, image.size) == ("RGB", (24, 16))
    assert np.allclose(np.asarray(image).mean((0, 1)), (200, 30, 30), atol=6)


@pytest.mark.parametrize(
    ("mode", "form"),
    [("1", "PNG"), ("L", "PNG"), ("CMYK", "TIFF"), ("LAB", "TIFF")],
)
def test_other_colours_become_rgb(mode: str, form: str) -> None:
    image = open_picture(encoded(Image.new(mode, (24, 16)), form))
    assert (image.mode, image.size) == ("RGB", (24, 16))


def test_cmyk_keeps_its_colours() -> None:
    red = Image.new("CMYK", (24, 16), (0, 255, 255, 0))
    assert np.allclose(middle(encoded(red, "JPEG", quality=95)), (254, 0, 0), atol=8)


@pytest.mark.parametrize(("mode", "form"), [("I;16", "PNG"), ("I;16", "TIFF"), ("I", "TIFF")])
def test_sixteen_bits_are_scaled_not_cut(mode: str, form: str) -> None:
    values = np.asarray(open_picture(encoded(sixteen(mode), form)))[..., 0].ravel()
    assert values[0] == 0 and values[-1] == 255
    assert abs(int(values[len(values) // 2]) - 128) <= 2
    assert (np.diff(values.astype(int)) >= 0).all()


@pytest.mark.parametrize("top", [1.0, 200.0, 70_000.0])
def test_floats_are_scaled_by_the_range_they_fit_in(top: float) -> None:
    values = np.linspace(0, top, 24 * 16, dtype=np.float32).reshape(16, 24)
    values[0, 1] = np.nan
    found = np.asarray(open_picture(encoded(Image.fromarray(values), "TIFF")))[..., 0]
    highest = 200 if top == 200.0 else 255
    assert found.max() == highest and found.min() == 0


def test_transparent_parts_are_white() -> None:
    layer = Image.new("RGBA", (24, 16), (255, 0, 0, 0))
    assert middle(encoded(layer)) == WHITE
    half = Image.new("RGBA", (24, 16), (255, 0, 0, 128))
    assert np.allclose(middle(encoded(half)), (255, 127, 127), atol=1)
    grey = Image.new("LA", (24, 16), (0, 0))
    assert middle(encoded(grey)) == WHITE
    assert open_picture(palette()).getpixel((2, 2)) == WHITE
    assert open_picture(palette()).getpixel((20, 2)) == (255, 0, 0)


def test_it_is_turned_as_its_exif_says() -> None:
    image = open_picture(turned())
    assert image.size == (16, 24)
    top, bottom = image.getpixel((8, 2)), image.getpixel((8, 21))
    assert isinstance(top, tuple) and isinstance(bottom, tuple)
    assert top[0] > 200 and bottom[2] > 200


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_an_animation_the_first_frame_is_taken(form: str) -> None:
    assert np.allclose(middle(animated(form)), (255, 0, 0), atol=3)


def test_thin_and_tiny_ones_are_given_edges() -> None:
    thin = open_picture(plain("red", (3, 6000)))
    assert thin.height == 6000 and thin.width >= 6000 // 16
    assert thin.getpixel((0, 0)) == WHITE and thin.getpixel((thin.width // 2, 9)) == (255, 0, 0)
    one = open_picture(plain("red", (1, 1)))
    assert min(one.size) >= 8 and one.getpixel((4, 4)) == (255, 0, 0)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (bomb(), "picture-too-large"),
        (bomb(MOST_PIXELS // 1000 + 1, 1000), "picture-too-large"),
        (bomb(400, 400), "picture-broken"),
        (noise(1, 300, "JPEG")[:4000], "picture-broken"),
        (noise(1, 300)[:4000], "picture-broken"),
        (animated()[:40], "picture-unknown"),
        (b"", "picture-unknown"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "picture-unknown"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "picture-unknown"),
        (b"GIF89a" + b"\0" * 7, "picture-unknown"),
    ],
)
def test_what_cannot_be_used_is_refused_in_words(data: bytes, problem: str) -> None:
    with pytest.raises(PictureUnusable) as caught:
        open_picture(data)
    error = caught.value
    assert isinstance(error, BadInput) and error.problem == problem
    assert error.detail and error.problem in PROBLEMS
    assert error.message.startswith("The picture cannot be used: ") and error.hint


@settings(deadline=None, max_examples=150)
@given(
    source=st.sampled_from([noise(1), noise(2, 40, "JPEG"), animated(), noise(3, 20, "WEBP")]),
    places=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=8),
    kept=st.floats(0, 1),
)
def test_damaged_files_are_opened_or_refused(
    source: bytes, places: list[tuple[float, int]], kept: float
) -> None:
    data = bytearray(source)
    for share, value in places:
        data[int(share * (len(data) - 1))] = value
    cut = bytes(data[: int(kept * len(data))])
    for one in (bytes(data), cut):
        try:
            image = open_picture(one)
        except PictureUnusable as error:
            assert error.problem in PROBLEMS
        else:
            assert image.mode == "RGB" and min(image.size) >= 8


def test_a_file_and_a_stream_are_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(noise(5))
    assert open_picture(path).tobytes() == open_picture(noise(5)).tobytes()
    with path.open("rb") as stream:
        assert open_picture(stream).tobytes() == open_picture(noise(5)).tobytes()
    with pytest.raises(PictureUnusable):
        open_picture(tmp_path / "nowhere.png")


def test_a_large_jpeg_may_come_smaller() -> None:
    data = noise(1, 1600, "JPEG")
    assert open_picture(data).size == (1600, 1600)
    small = open_picture(data, 200)
    assert 200 <= small.width < 1600


def test_pictures_are_known_by_their_names() -> None:
    assert is_picture("a/b.JPG") and is_picture("b.webp")
    assert not is_picture("b.pdf") and not is_picture("png")
