"""A CLIP-like model in memory: pictures and texts as vectors in one space (CLIP, Radford et al.
2021). Imports torch: workers only.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from sentence_transformers import SentenceTransformer

from workbench.models.contract import Contract
from workbench.models.inference import (
    Progress,
    Stop,
    Vectors,
    batches,
    inference,
    prompt_and_length,
    to_device,
    vectors_of,
)
from workbench.models.precision import Precision
from workbench.pictures.opening import open_picture

# Pictures as the numbers a model reads, kept in memory while they are needed again and again.
#
# Imports torch: workers only.

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


#: These were trained on texts filled up to their full length (SigLIP, Zhai et al. 2023).
_FILLED = frozenset({"siglip", "siglip2"})


@dataclass(frozen=True)
class LoadedImageText:
    """A model of pictures and texts, and the contract it is used by."""

    model: SentenceTransformer
    contract: Contract
    device: str
    precision: Precision
    pixels: Pixels = field(default_factory=Pixels)
    #: What reads the pictures, where it is another model than the one of the texts.
    eyes: SentenceTransformer | None = None

    def with_contract(self, contract: Contract) -> "LoadedImageText":
        """The same model in memory, used otherwise."""
        return replace(self, contract=contract)

    @property
    def dimensions(self) -> int:
        return int(self.model.get_embedding_dimension() or self.contract.dimensions)

    @property
    def seeing(self) -> SentenceTransformer:
        """The model that reads the pictures."""
        return self.eyes or self.model

    def encode(
        self,
        texts: Sequence[str],
        role: Any = "query",
        *,
        batch_size: int | None = None,
        progress: Progress | None = None,
        stop: Stop | None = None,
    ) -> Vectors:
        """Embeddings of texts, float32 of shape (len(texts), dimensions), in their order."""
        found = np.empty((len(texts), self.dimensions), dtype=np.float32)
        lengths = [len(text) for text in texts]
        for rows in batches(lengths, self.device, batch_size, progress, stop):
            features = self.texts([texts[row] for row in rows], role)
            found[rows] = self._vectors(self.model, features)
        return found

    def encode_pictures(
        self,
        paths: Sequence[Picture],
        *,
        batch_size: int | None = None,
        progress: Progress | None = None,
        stop: Stop | None = None,
    ) -> Vectors:
        """Embeddings of picture files (or open pictures), float32 (len(paths), dimensions).

        Raises :class:`PictureUnusable` for a file that cannot be opened.
        """
        found = np.empty((len(paths), self.dimensions), dtype=np.float32)
        alike = [0] * len(paths)
        for rows in batches(alike, self.device, batch_size, progress, stop):
            found[rows] = self._vectors(self.seeing, self.pictures([paths[at] for at in rows]))
        return found

    def texts(self, texts: list[str], role: Any = "query") -> dict[str, Any]:
        """What the model reads of texts, with the contract's prompt and length."""
        prompt, length = prompt_and_length(self.contract, role, self.model[0].config)
        return preprocess_texts(self.model, texts, prompt, length)

    def pictures(self, pictures: Sequence[Picture]) -> dict[str, Any]:
        """What the model reads of pictures."""
        return picture_features(self.seeing, self.pixels, pictures)

    def _vectors(self, model: SentenceTransformer, features: dict[str, Any]) -> Vectors:
        with inference(model, self.device, self.precision):
            return vectors_of(model, to_device(features, self.device), self.contract)


def whole_model(folder: Path, device: str, **options: Any) -> SentenceTransformer:
    """A CLIP-like model from its folder. Without torchvision its pictures are prepared by Pillow,
    which transformers says in a warning each time."""
    from transformers.utils import logging

    said = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        return SentenceTransformer(str(folder), device=device, **options)
    finally:
        logging.set_verbosity(said)


def picture_model(folder: Path, device: str) -> SentenceTransformer:
    """The model of the pictures in ``folder``, in fp32: all of it is loaded, though its texts are
    not used."""
    about = {"dtype": torch.float32}
    return whole_model(folder, device, model_kwargs=about, local_files_only=True).float()


def reads_padding(model: Any) -> bool:
    """Whether a model's texts are to be filled up to their full length."""
    config = getattr(model[0], "config", None)
    return getattr(config, "model_type", "") in _FILLED


def preprocess_texts(model: Any, texts: list[str], prompt: str, length: int) -> dict[str, Any]:
    """Tokens of texts for a CLIP-like model, ``length`` at most."""
    how: dict[str, Any] = {"text": {"padding": "max_length"}} if reads_padding(model) else {}
    # Without a prompt the prompt's length is not asked for, which these models do not use.
    said = [f"{prompt}{text}" for text in texts] if prompt else texts
    return dict(model.preprocess(said, max_length=length, processing_kwargs=how or None))


def picture_features(model: Any, pixels: Pixels, pictures: Sequence[Picture]) -> dict[str, Any]:
    """What a CLIP-like model reads of pictures."""
    return pixels.features(lambda images: dict(model.preprocess(images)), pictures)
