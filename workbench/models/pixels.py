"""Pictures as the numbers a model reads, kept in memory while they are needed again and again.

Imports torch: workers only.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from workbench.pictures.opening import open_picture

#: Unpacking leaves Python's lock, so a few threads open the pictures of a batch.
_OPENERS = 2
#: What most processors call a picture's numbers: (3, height, width) each.
_PIXELS = "pixel_values"
#: For training, which meets each picture once an epoch: 3,500 pictures of 224 x 224.
ROOM = 2 << 30

Picture = Path | Image.Image
Preprocess = Callable[[list[Image.Image]], dict[str, Any]]


class Pixels:
    """``room``: bytes that may be kept; 0 keeps none. Full, it keeps what it has: a run goes
    through its pictures in a new order each time, where the latest are worth no more than others.
    """

    def __init__(self, room: int = 0) -> None:
        self._room = room
        self._kept: dict[Path, torch.Tensor] = {}
        #: What a batch has besides: what kind of input it is.
        self._about: dict[str, Any] = {}

    def features(self, preprocess: Preprocess, pictures: Sequence[Picture]) -> dict[str, Any]:
        """What the model reads of these pictures, as a batch in their order.

        Raises :class:`PictureUnusable` for a file that cannot be opened.
        """
        paths = [one for one in pictures if isinstance(one, Path)]
        if not self._room or len(paths) < len(pictures):
            return preprocess(opened(pictures))
        now = self._read(preprocess, [one for one in dict.fromkeys(paths) if one not in self._kept])
        if now is None:
            return preprocess(opened(pictures))
        values = [self._kept[path] if path in self._kept else now[path] for path in paths]
        return {**self._about, _PIXELS: torch.stack(values)}

    def _read(self, preprocess: Preprocess, paths: list[Path]) -> dict[Path, torch.Tensor] | None:
        """Each picture's numbers, kept where there is room; None where a batch is more than them
        (models that read pictures in their own shapes, SigLIP 2's among them)."""
        if not paths:
            return {}
        read = preprocess(opened(paths))
        if [name for name in read if isinstance(read[name], torch.Tensor)] != [_PIXELS]:
            self._room = 0
            return None
        values: torch.Tensor = read.pop(_PIXELS)
        self._about = read
        found = dict(zip(paths, values, strict=True))
        for path, value in found.items():
            if value.nbytes < self._room:
                self._kept[path] = value.clone()
                self._room -= value.nbytes
        return found


def opened(pictures: Sequence[Picture]) -> list[Image.Image]:
    """Pictures from their files, where they are not open yet."""
    with ThreadPoolExecutor(_OPENERS, thread_name_prefix="pictures") as pool:
        return list(pool.map(_opened, pictures))


def _opened(picture: Picture) -> Image.Image:
    return picture if isinstance(picture, Image.Image) else open_picture(picture)
