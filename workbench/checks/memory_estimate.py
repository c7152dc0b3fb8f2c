"""How much memory training would take: an estimate, in bytes, from shapes alone.

Weights, gradients and optimizer: trained weights are kept in fp32 with fp32 gradients and AdamW's
two moments, 4 + 4 + 8 = 16 bytes each (Rajbhandari et al. 2020, ZeRO, section 3.1, with fp32
weights in place of their two copies). A frozen base takes 2 bytes a weight in bf16, 4 in fp32; in
4 bits 0.5 and a scale of 32 bits per 64 weights, quantized again to 8 bits with 'double
quantization' (Dettmers et al. 2023, QLoRA: 0.5 and 0.127 bits a weight); in 8 bits 1. Only matrices
are quantized; embedding tables and norms are kept as a frozen base's weights are without.

Activations on a CPU, of a layer in 16-bit precision: tokens x (34 x hidden + 5 x heads x length)
bytes (Korthikanti et al. 2022, Reducing Activation Recomputation, section 4.1); the second term is
the attention scores, which a CPU keeps where there is dropout. All of it twice: in fp32 for its
width, under autocast for the fp32 copies beside the 16-bit ones. MiniLM's saved tensors for 16
texts of 128 tokens were counted so: 576 MB in fp32 and 491 MB under bf16 autocast, where this gives
510 MB.

On a GPU attention is fused and keeps no scores, and decoders have wider feed-forward parts than
that formula's, with a gate: there, so many bytes for each number that enters or leaves a weight
matrix (``_NUMBER``). Fitted to 22 measured cells on one H100: BERT base and a Qwen2 of 1.5B
parameters, embedding models and rerankers, in bf16 and fp16 (docs/benchmarks.md). fp32 was not
measured.

With gradient checkpointing, the input of each layer and one layer in full. Tokens are those of a
batch padded to the longest texts of the sample. The framework's own memory, the data's and
fragmentation come on top.
"""

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path

from workbench.checks.report import Memory
from workbench.errors import ModelUnusable
from workbench.models.architecture import position_limit, safetensors_of, text_config
from workbench.models.inspect import read_json, read_list
from workbench.recipes.train import TrainRecipe

# A model's size and shape from its own files: safetensors headers and config.json.

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
    #: Numbers in the table of word embeddings.
    words: int = 0

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
        words=sum(
            math.prod(shape)
            for name, shape in shapes.items()
            if len(shape) == 2 and _is_table(name) and shape[0] == text.get("vocab_size")
        ),
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


_GRADIENT, _MOMENTS, _FP32, _HALF = 4, 8, 4, 2
#: A layer's activations: bytes for each token and hidden number, and for each pair of tokens and
#: attention head, in 16-bit precision.
_LAYER, _SCORES = 34, 5
#: What fp32, or fp32 copies beside 16-bit numbers, make of it.
_WIDE = 2
#: On a GPU: bytes kept for each number that enters or leaves a matrix, by what is trained over
#: what. 8 bits keep a copy of each matrix's input.
_NUMBER = {"full": 2.7, "lora": 3.2, "4": 3.4, "8": 4.3}
#: Between frozen layers numbers flow in the format of the weights: without bf16 in fp32.
_FLOW = 1.2

#: Texts of one length: (how many, tokens each).
Batch = list[tuple[int, int]]


def trainable_parameters(shape: Shape, recipe: TrainRecipe) -> int:
    """All of them, or those of the adapter: rank x (rows + columns) of each matrix it is put on."""
    if recipe.method == "full":
        return shape.parameters - (shape.words if recipe.freeze_word_embeddings else 0)
    named = [part.strip() for part in recipe.target_modules.split(",") if part.strip()]
    wanted = [
        size
        for name, size in shape.linear.items()
        if named == ["all-linear"] or _names(name) & set(named)
    ]
    return sum(recipe.lora_r * (rows + columns) for rows, columns in wanted)


def estimate(
    shape: Shape, recipe: TrainRecipe, batch: Batch, *, precision: str, gpu: bool = False
) -> Memory:
    """Memory of a step over a batch of padded texts, computed in fp32, bf16 or fp16."""
    trained = trainable_parameters(shape, recipe)
    base = _frozen(shape, recipe, precision)
    return Memory(
        weights=round(base) + _FP32 * trained,
        gradients=_GRADIENT * trained,
        optimizer=_MOMENTS * trained,
        activations=_activations(shape, recipe, batch, precision, gpu),
    )


def _frozen(shape: Shape, recipe: TrainRecipe, precision: str) -> float:
    if recipe.method == "full":
        return _FP32 * (shape.parameters - trainable_parameters(shape, recipe))
    plain = _HALF if precision == "bf16" else _FP32
    if recipe.method == "lora":
        return shape.parameters * plain
    matrices = shape.linear_parameters
    if recipe.quantization_bits == "8":
        each = 1.0
    else:
        each = 0.5 + (0.127 if recipe.double_quantization else 0.5) / 8
    return matrices * each + (shape.parameters - matrices) * plain


def _activations(shape: Shape, recipe: TrainRecipe, batch: Batch, precision: str, gpu: bool) -> int:
    tokens = sum(count * length for count, length in batch)
    numbers = sum(rows + columns for rows, columns in shape.linear.values())
    if gpu and numbers:
        layer = tokens * numbers * _each_number(recipe, precision) / max(1, shape.layers)
    else:
        scores = 0 if gpu else sum(count * length * length for count, length in batch) * shape.heads
        layer = _WIDE * (_LAYER * tokens * shape.hidden + _SCORES * scores)
    if recipe.gradient_checkpointing:
        return round(shape.layers * _WIDE * _HALF * tokens * shape.hidden + layer)
    return round(shape.layers * layer)


def _each_number(recipe: TrainRecipe, precision: str) -> float:
    way = recipe.quantization_bits if recipe.method == "qlora" else recipe.method
    wide = recipe.method != "full" and precision != "bf16"
    return _NUMBER[str(way)] * (_FLOW if wide else 1.0)


def _names(tensor: str) -> set[str]:
    """'encoder.layer.0.attention.self.query.weight' -> its parts, by which peft names targets."""
    return set(tensor.split("."))
