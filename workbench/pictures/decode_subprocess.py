"""Opens pictures in processes of their own, with limits on memory and time: what is brought, or
uploaded, is not unpacked where it could take the app, an import or the search process along.

(Training and indexing open a data set's pictures where they are: each of those has been opened
here when it was brought.)
"""

from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import AvifImagePlugin, Image

from workbench.errors import PictureUnusable
from workbench.limited import Answer, Ended, LimitedPool, NeededTooMuch, TookTooLong
from workbench.pictures.opening import MOST_MEMORY, open_picture, too_much_memory

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


def check(source: Path | bytes) -> None:
    """Open a picture's file, and forget it. Raises :class:`PictureUnusable`."""
    if isinstance(source, bytes):
        _ask({"do": "check"}, source)
    else:
        _ask({"do": "check", "path": str(source)})


def opened(path: Path) -> Image.Image:
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
