"""Opens pictures as people have them, and hands on one form: RGB, upright, one frame, of a bounded
size.

What is bounded is the memory that opening takes, not the file: what a header promises is computed
before anything is unpacked, because a file of a hundred bytes may promise gigabytes. What cannot be
opened safely or wholly is refused in a sentence; nothing is guessed from half a file. Pillow alone,
no torch.
"""

import math
import struct
import warnings
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import AvifImagePlugin, Image, ImageOps, PngImagePlugin, UnidentifiedImageError

from workbench.errors import PictureUnusable
from workbench.limited import Answer, Ended, LimitedPool, NeededTooMuch, TookTooLong

#: Suffix -> whether files called so are pictures. The list is also what Pillow may try: its other
#: readers start programs (EPS), or read formats nobody keeps pictures in.
SUFFIXES = frozenset({
    ".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".gif", ".bmp", ".dib", ".tif",
    ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".avif", ".jp2",
})  # fmt: skip
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "PPM", "AVIF", "JPEG2000")
#: More pixels than any camera in common use has.
MOST_PIXELS = 120_000_000
#: Bytes that one picture may take while it is opened, its file apart: an RGB PNG of 67 million
#: pixels, or a JPEG of any size, whose decoder makes it smaller as it reads.
MOST_MEMORY = 512 << 20
#: Pixels of what is handed on. Models read a few hundred a side, and a batch of 32 is in memory at
#: once; a larger picture is made smaller by a whole number.
MOST_OUT = 16_000_000
#: Pixels that a byte of a file may stand for, in a picture larger than that. A blank page scanned
#: in black and white packs to a tenth of this; what packs better shows nothing.
_PIXELS_PER_BYTE = 10_000
# Pillow's own bound refuses what is twice as large; what lies between is refused here, and needs no
# warning. (To silence it around each call would not be safe among threads.)
Image.MAX_IMAGE_PIXELS = MOST_PIXELS
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
#: A PNG's compressed notes, which nobody here reads: a program that draws pictures writes down all
#: its settings. (All notes of one picture may have 64 MB, by Pillow's own bound.)
PngImagePlugin.MAX_TEXT_CHUNK = 16 << 20
#: Models make the shorter side some hundred pixels: of a hair-thin picture that would make a
#: gigantic one, so it gets edges in white up to this ratio.
_THINNEST = 16
#: The longer side of a picture that gets such edges: with them it has MOST_OUT pixels.
_LONGEST_THIN = math.isqrt(MOST_OUT * _THINNEST)
#: transformers takes a side of 3 pixels for the colours.
_SMALLEST = 8
#: Bytes a pixel takes as Pillow keeps it; all other modes take four, RGB too.
_KEPT = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16L": 2, "I;16B": 2, "I;16N": 2}
#: Bytes a pixel takes inside a format's own decoder besides: libtiff's strip; libwebp's two
#: canvases and the frame handed over; libavif's planes of 16 bits, its RGBA, and that handed over;
#: four components of 32 bits, twice, in OpenJPEG.
_DECODER = {"TIFF": 4, "WEBP": 12, "AVIF": 16, "JPEG2000": 32}
#: A pixel as it is handed on, RGB in four bytes: there are both for a moment.
_OUT = 4
#: Pixels converted at a time: what lies between two modes may take 24 bytes a pixel.
_BAND = 1_000_000
#: What broken notes (EXIF) make Pillow raise.
_NO_NOTES = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    struct.error,
)
Size = tuple[int, int]
#: What stands behind transparent parts.
_PAPER = (255, 255, 255)


def open_picture(source: Path | bytes | BinaryIO, most: int = 0) -> Image.Image:
    """The picture as RGB of MOST_OUT pixels at most: the first frame of an animation, turned as its
    EXIF says, transparency on white, 16 bits scaled to 8, CMYK and palettes converted.

    With ``most`` a JPEG may come smaller than it is, though not below so many pixels a side: that
    is unpacked several times as fast.
    Raises :class:`PictureUnusable` where the file is no picture, broken, cut off or too large.
    """
    stream = BytesIO(source) if isinstance(source, bytes) else source
    try:
        with Image.open(stream, formats=_FORMATS) as image:
            # Nothing is unpacked yet.
            _refuse_too_large(image.size, _length(stream))
            _refuse_too_costly(image, *_ask_for_less(image, most))
            image.load()
            return _sound(_smaller(_rgb(_upright(image))))
    except PictureUnusable:
        raise
    except UnidentifiedImageError as error:
        raise PictureUnusable.of("picture-unknown", "no picture that is known") from error
    except Image.DecompressionBombError as error:
        raise PictureUnusable.of("picture-too-large", "far too many pixels") from error
    except MemoryError as error:
        raise too_much_memory() from error
    except Exception as error:
        if "MAX_TEXT" in str(error):
            raise PictureUnusable.of("picture-too-large", "notes of more than 16 MB") from error
        # A damaged file can make Pillow's readers raise nearly anything.
        raise PictureUnusable.of("picture-broken", _why(error)) from error


def is_picture(name: str) -> bool:
    """Whether a file is called as pictures are."""
    return Path(name).suffix.lower() in SUFFIXES


def too_much_memory() -> PictureUnusable:
    """For a picture that a decoder finds no memory for."""
    return PictureUnusable.of("picture-too-large", f"more than {MOST_MEMORY >> 20} MB")


def memory(image: Image.Image, whole: Size, read: Size) -> int:
    """Bytes that unpacking takes at its peak, by the header of an open picture: one of the size
    ``whole`` that its decoder hands over in the size ``read``."""
    kept = _KEPT.get(image.mode, 4)
    inside = _DECODER.get(image.format or "", 0)
    total = read[0] * read[1] * (kept + inside + max(kept, _OUT))
    if image.info.get("progressive") or image.info.get("progression"):
        # libjpeg holds every coefficient, of 16 bits, whatever size it is asked for.
        total += round(whole[0] * whole[1] * 2 * _components(image))
    return total


def _components(image: Image.Image) -> float:
    """How many values a JPEG has per pixel: colours may be sampled in fewer places than light."""
    sampled = [wide * high for _, wide, high, _ in getattr(image, "layer", [])]
    return sum(sampled) / max(sampled) if sampled and max(sampled) else len(image.getbands())


def _length(stream: Path | BinaryIO) -> int | None:
    """The file's bytes; None where a stream does not say."""
    if isinstance(stream, Path):
        return stream.stat().st_size
    if not stream.seekable():
        return None
    at = stream.tell()
    length = stream.seek(0, 2)
    stream.seek(at)
    return length


def _refuse_too_large(size: Size, length: int | None) -> None:
    pixels = size[0] * size[1]
    said = f"{size[0]:,} x {size[1]:,} pixels"
    if pixels > MOST_PIXELS:
        raise PictureUnusable.of("picture-too-large", said)
    if min(size) < 1:
        raise PictureUnusable.of("picture-broken", "it has no pixels")
    if length is not None and pixels > max(MOST_OUT, _PIXELS_PER_BYTE * length):
        from_file = f"{size[0]:,} x {size[1]:,} pixels, from a file of {length:,} bytes"
        raise PictureUnusable.of("picture-too-large", from_file)


def _ask_for_less(image: Image.Image, most: int) -> tuple[Size, Size]:
    """Have the decoders that can do so make a large picture smaller as they read it. Returns the
    picture's size and the one it will be handed over in."""
    whole = image.size
    if image.format == "JPEG2000":
        read, halvings = whole, 0
        while memory(image, whole, read) > MOST_MEMORY:
            halvings += 1
            read = (-(-whole[0] // 2**halvings), -(-whole[1] // 2**halvings))
        if halvings:
            image.reduce = halvings  # type: ignore[method-assign, assignment]
        return whole, read
    by = _factor(whole)
    if most or by > 1:
        image.draft(None, (most, most) if most else (-(-whole[0] // by), -(-whole[1] // by)))
    return whole, image.size


def _refuse_too_costly(image: Image.Image, whole: Size, read: Size) -> None:
    if (needed := memory(image, whole, read)) > MOST_MEMORY:
        said = f"{whole[0]:,} x {whole[1]:,} pixels, which take {needed >> 20:,} MB"
        raise PictureUnusable.of("picture-too-large", said)


def _factor(size: Size) -> int:
    """How many times smaller each side has to be for MOST_OUT pixels."""
    by = 1
    while -(-size[0] // by) * -(-size[1] // by) > MOST_OUT:
        by += 1
    return by


def _upright(image: Image.Image) -> Image.Image:
    # Notes about the picture that cannot be read take nothing from it.
    with suppress(*_NO_NOTES):
        ImageOps.exif_transpose(image, in_place=True)
    return image


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image.copy()
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        low, high = _range(image)
        return _in_bands(image, lambda band: _eight_bits(band, low, high))
    return _in_bands(image, _on_paper if image.has_transparency_data else _converted)


def _in_bands(image: Image.Image, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """The picture as RGB, converted some rows at a time: what a conversion needs besides is small
    then, however large the picture is."""
    out = Image.new("RGB", image.size)
    rows = max(1, _BAND // image.width)
    for top in range(0, image.height, rows):
        bottom = min(top + rows, image.height)
        out.paste(convert(image.crop((0, top, image.width, bottom))), (0, top))
    return out


def _converted(image: Image.Image) -> Image.Image:
    return image.convert("RGB")


def _on_paper(image: Image.Image) -> Image.Image:
    layer = image.convert("RGBA")
    paper = Image.new("RGBA", layer.size, (*_PAPER, 255))
    return Image.alpha_composite(paper, layer).convert("RGB")


def _range(image: Image.Image) -> tuple[float, float]:
    """What becomes black and white of grey values with more than 8 bits: 16 bits by their range,
    others by the range of 8 or 16 bits they fit in, else by their own."""
    if image.mode.startswith("I;16"):
        return 0.0, 65535.0
    low, high = math.inf, -math.inf
    rows = max(1, _BAND // image.width)
    for top in range(0, image.height, rows):
        bottom = min(top + rows, image.height)
        values = _values(image.crop((0, top, image.width, bottom)))
        low, high = min(low, float(values.min())), max(high, float(values.max()))
    if low >= 0:
        return 0.0, next((top for top in (1.0, 255.0, 65535.0) if high <= top), high)
    return low, high


def _eight_bits(image: Image.Image, low: float, high: float) -> Image.Image:
    scaled = (_values(image) - low) * (255.0 / ((high - low) or 1.0))
    return Image.fromarray(scaled.round().astype(np.uint8)).convert("RGB")


def _values(image: Image.Image) -> Any:
    """Grey values as (height, width) float64; those that are no numbers are 0."""
    return np.nan_to_num(np.asarray(image).astype(np.float64), posinf=0.0, neginf=0.0)


def _smaller(image: Image.Image) -> Image.Image:
    by = _factor(image.size)
    return image if by == 1 else image.reduce(by)


def _sound(image: Image.Image) -> Image.Image:
    """Neither too thin nor too small for what models do with pictures."""
    short, long = min(image.size), max(image.size)
    if short < _SMALLEST:
        factor = -(-_SMALLEST // short)
        if long * factor <= _SMALLEST * _THINNEST:
            return image.resize((image.width * factor, image.height * factor), 0)
    if short * _THINNEST < long and long > _LONGEST_THIN:
        share = _LONGEST_THIN / long
        width, height = (max(1, round(side * share)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.BOX)
        short, long = min(image.size), max(image.size)
    least = max(_SMALLEST, -(-long // _THINNEST))
    if short >= least:
        return image
    size = (max(image.width, least), max(image.height, least))
    paper = Image.new("RGB", size, _PAPER)
    paper.paste(image, ((size[0] - image.width) // 2, (size[1] - image.height) // 2))
    return paper


def _why(error: Exception) -> str:
    said = " ".join(str(error).split())[:200].rstrip(".")
    return said or type(error).__name__


# Opens pictures in processes of their own, with limits on memory and time: what is brought, or
# uploaded, is not unpacked where it could take the app, an import or the search process along.
#
# (Training and indexing open a data set's pictures where they are: each of those has been opened
# here when it was brought.)

#: A file larger than this is no picture that anybody searches.
MOST_BYTES = 256 << 20
#: What opening one takes, its file twice (as it arrives and as a decoder copies it), and a little.
_ROOM = MOST_MEMORY + 2 * MOST_BYTES + (128 << 20)
#: Pictures opened at the same time at most.
_AT_ONCE = 2
#: The slowest that is known, a JPEG 2000 of the largest size, takes ten on an idle machine.
_SECONDS = 60.0
MEDIA = "image/webp"
_QUALITY = 82


POOL = LimitedPool(f"{__name__}:answer", count=_AT_ONCE, memory=_ROOM, seconds=_SECONDS)


def check_apart(source: Path | bytes) -> None:
    """Open a picture's file, and forget it. Raises :class:`PictureUnusable`."""
    if isinstance(source, bytes):
        _ask({"do": "check"}, source)
    else:
        _ask({"do": "check", "path": str(source)})


def opened_apart(path: Path) -> Image.Image:
    """As :func:`open_picture` hands it on. Raises :class:`PictureUnusable`."""
    said, data = _ask({"do": "open", "path": str(path)})
    return Image.frombytes("RGB", (said["width"], said["height"]), data)


def shrunk(path: Path, size: int) -> bytes:
    """A picture as WebP of ``size`` pixels a side at most, without anything that its file said
    besides. Raises :class:`PictureUnusable`."""
    return _ask({"do": "shrink", "path": str(path), "size": size})[1]


def _ask(request: dict[str, Any], data: bytes = b"") -> Answer:
    try:
        return POOL.ask(request, data)
    except TookTooLong as error:
        raise PictureUnusable.of("picture-too-slow", f"{_SECONDS:g} seconds") from error
    except NeededTooMuch as error:
        raise too_much_memory() from error
    except Ended as error:
        detail = "the program that reads such files crashed"
        raise PictureUnusable.of("picture-broken", detail) from error


def answer(request: dict[str, Any], data: bytes) -> Answer:
    """What such a process does with a picture: the file's content, or its ``path``."""
    # A decoder's threads reserve memory for each core.
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    size = request.get("size", 0)
    image = open_picture(_file(request["path"]) if "path" in request else data, size)
    if request["do"] == "open":
        return {"width": image.width, "height": image.height}, image.tobytes()
    if request["do"] == "shrink":
        return {}, _webp(image, size)
    return {}, b""


def _file(path: str) -> Path:
    found = Path(path)
    if found.is_file() and found.stat().st_size > MOST_BYTES:
        said = f"{found.stat().st_size / 1e6:,.0f} MB"
        raise PictureUnusable.of("picture-too-large", said)
    return found


def _webp(image: Image.Image, size: int) -> bytes:
    image.thumbnail((size, size), Image.Resampling.LANCZOS)
    out = BytesIO()
    image.save(out, "WEBP", quality=_QUALITY)
    return out.getvalue()
