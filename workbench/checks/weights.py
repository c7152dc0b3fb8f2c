"""A model's size and shape from its own files: safetensors headers and config.json."""

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import ModelUnusable
from workbench.models.architecture import position_limit, text_config
from workbench.models.inspect import read_json, read_list
from workbench.models.weights import safetensors_of

#: A header is JSON; a longer one is a damaged file.
_LONGEST_HEADER = 100_000_000
#: Tables that are looked up, not multiplied: no adapter goes there, and no 4-bit weights.
_TABLES = ("embed", "wte", "wpe", "shared.weight", "lm_head")


@dataclass(frozen=True, slots=True)
class Shape:
    """A model as its files describe it. ``linear`` has (rows, columns) of each weight matrix."""

    parameters: int
    linear: dict[str, tuple[int, int]]
    layers: int
    hidden: int
    heads: int
    positions: int | None
    tokenizer: Path | None

    @property
    def linear_parameters(self) -> int:
        return sum(rows * columns for rows, columns in self.linear.values())


def read_shape(folder: Path) -> Shape | None:
    """The shape of the model in a folder; None where its weights are no safetensors."""
    place = _first_module(folder)
    shapes = _tensors(place)
    if not shapes:
        return None
    config = read_json(place / "config.json", missing={})
    text = text_config(config)
    tokenizer = next((p for p in (place, folder) if (p / "tokenizer.json").is_file()), None)
    return Shape(
        parameters=sum(math.prod(shape) for shape in shapes.values()),
        linear={
            name: (shape[0], shape[1])
            for name, shape in shapes.items()
            if len(shape) == 2 and name.endswith("weight") and not _is_table(name)
        },
        layers=_number(text, "num_hidden_layers", "n_layer", "n_layers", "num_layers"),
        hidden=_number(text, "hidden_size", "d_model", "dim", "n_embd"),
        heads=_number(text, "num_attention_heads", "n_head", "n_heads"),
        positions=position_limit(config, read_json(place / "tokenizer_config.json", missing={})),
        tokenizer=tokenizer / "tokenizer.json" if tokenizer else None,
    )


def _first_module(folder: Path) -> Path:
    """Where a sentence-transformers folder keeps the transformer."""
    if (folder / "modules.json").is_file():
        return folder / str(read_list(folder / "modules.json")[0].get("path", ""))
    return folder


def _tensors(folder: Path) -> dict[str, list[int]]:
    """Name -> shape of every tensor in the folder's weight files."""
    found: dict[str, list[int]] = {}
    for path in safetensors_of(folder, "model"):
        found.update(_header(path))
    return found


def _header(path: Path) -> dict[str, list[int]]:
    """The beginning of a safetensors file: 8 bytes of length, then JSON."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > _LONGEST_HEADER:
                raise ValueError("its header is too long")
            header = json.loads(file.read(length))
        return {
            name: [int(size) for size in about["shape"]]
            for name, about in header.items()
            # Whole numbers are no parameters: BERT saves its positions' numbers, too.
            if name != "__metadata__" and "F" in str(about["dtype"])
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise ModelUnusable(
            f"{path} cannot be read as safetensors: {error}.", "Get the file again."
        ) from error


def _is_table(name: str) -> bool:
    return any(part in name for part in _TABLES)


def _number(config: dict[str, object], *names: str) -> int:
    for name in names:
        value = config.get(name)
        if isinstance(value, int):
            return value
    return 0
