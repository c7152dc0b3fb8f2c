"""Pictures as people have them, good and bad, made in memory."""

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image


def encoded(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def plain(colour: Any = "red", size: tuple[int, int] = (24, 16), form: str = "PNG") -> bytes:
    return encoded(Image.new("RGB", size, colour), form)


def noise(seed: int, size: int = 24, form: str = "PNG") -> bytes:
    """A picture that no other seed makes."""
    values = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    return encoded(Image.fromarray(values), form)


def turned() -> bytes:
    """24 x 16, red on the left and blue on the right; its EXIF says: turn by 90 degrees."""
    image = Image.new("RGB", (24, 16), "blue")
    image.paste((255, 0, 0), (0, 0, 12, 16))
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(image, "JPEG", exif=exif.tobytes(), quality=95)


def animated(form: str = "GIF") -> bytes:
    frames = [Image.new("RGB", (24, 16), colour) for colour in ("red", "blue", "green")]
    return encoded(frames[0], form, save_all=True, append_images=frames[1:], duration=50)


def bomb(width: int = 60_000, height: int = 60_000) -> bytes:
    """A PNG of a few hundred bytes that would unpack to gigabytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(b"\0" * 100_000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
