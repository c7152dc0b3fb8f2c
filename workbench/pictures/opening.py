"""Opens pictures as people have them, and hands on one form: RGB, upright, one frame.

What cannot be opened safely or wholly is refused in a sentence; nothing is guessed from half a
file. Pillow alone, no torch.
"""

import struct
import warnings
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from workbench.errors import PictureUnusable

#: Suffix -> whether files called so are pictures. The list is also what Pillow may try: its other
#: readers start programs (EPS), or read formats nobody keeps pictures in.
SUFFIXES = frozenset({
    ".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".gif", ".bmp", ".dib", ".tif",
    ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".avif", ".jp2",
})  # fmt: skip
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "PPM", "AVIF", "JPEG2000")
#: More pixels than any camera in common use has; in memory they take three bytes each.
MOST_PIXELS = 120_000_000
# Pillow's own bound refuses what is twice as large; what lies between is refused here, and needs no
# warning. (To silence it around each call would not be safe among threads.)
Image.MAX_IMAGE_PIXELS = MOST_PIXELS
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
#: Models make the shorter side some hundred pixels: of a hair-thin picture that would make a
#: gigantic one, so it gets edges in white up to this ratio.
_THINNEST = 16
#: transformers takes a side of 3 pixels for the colours.
_SMALLEST = 8
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
#: What stands behind transparent parts.
_PAPER = (255, 255, 255)


def open_picture(source: Path | bytes | BinaryIO, most: int = 0) -> Image.Image:
    """The picture as RGB: the first frame of an animation, turned as its EXIF says, transparency
    on white, 16 bits scaled to 8, CMYK and palettes converted.

    With ``most`` a JPEG may come smaller than it is, though not below so many pixels a side: that
    is unpacked several times as fast.
    Raises :class:`PictureUnusable` where the file is no picture, broken, cut off or too large.
    """
    stream = BytesIO(source) if isinstance(source, bytes) else source
    try:
        with Image.open(stream, formats=_FORMATS) as image:
            # Nothing is unpacked yet.
            _refuse_too_large(image.size)
            if most:
                image.draft(None, (most, most))
            image.load()
            return _sound(_rgb(_upright(image)))
    except PictureUnusable:
        raise
    except UnidentifiedImageError as error:
        raise PictureUnusable.of("picture-unknown", "no picture that is known") from error
    except Image.DecompressionBombError as error:
        raise PictureUnusable.of("picture-too-large", "far too many pixels") from error
    except Exception as error:
        # A damaged file can make Pillow's readers raise nearly anything.
        raise PictureUnusable.of("picture-broken", _why(error)) from error


def is_picture(name: str) -> bool:
    """Whether a file is called as pictures are."""
    return Path(name).suffix.lower() in SUFFIXES


def _refuse_too_large(size: tuple[int, int]) -> None:
    if size[0] * size[1] > MOST_PIXELS:
        detail = f"{size[0]:,} x {size[1]:,} pixels"
        raise PictureUnusable.of("picture-too-large", detail)
    if min(size) < 1:
        raise PictureUnusable.of("picture-broken", "it has no pixels")


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except _NO_NOTES:
        # Notes about the picture that cannot be read take nothing from it.
        return image


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image.copy()
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return Image.fromarray(_eight_bits(image)).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        paper = Image.new("RGBA", layer.size, (*_PAPER, 255))
        return Image.alpha_composite(paper, layer).convert("RGB")
    return image.convert("RGB")


def _eight_bits(image: Image.Image) -> Any:
    """Grey values of more than 8 bits, (height, width) as bytes: 16 bits by their range, others by
    the range of 8 or 16 bits they fit in, else by their own."""
    values = np.nan_to_num(np.asarray(image).astype(np.float64), posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if image.mode.startswith("I;16"):
        low, high = 0.0, 65535.0
    elif low >= 0:
        low, high = 0.0, next((top for top in (1.0, 255.0, 65535.0) if high <= top), high)
    return ((values - low) * (255.0 / ((high - low) or 1.0))).round().astype(np.uint8)


def _sound(image: Image.Image) -> Image.Image:
    """Neither too thin nor too small for what models do with pictures."""
    short, long = min(image.size), max(image.size)
    if short < _SMALLEST:
        factor = -(-_SMALLEST // short)
        if long * factor <= _SMALLEST * _THINNEST:
            return image.resize((image.width * factor, image.height * factor), 0)
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
