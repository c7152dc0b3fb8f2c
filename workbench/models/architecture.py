"""What a transformers ``config.json`` says about a model, read without transformers."""

import json
from pathlib import Path
from typing import Any

from workbench.errors import ModelUnusable

JsonDict = dict[str, Any]

#: ``model_type`` of decoders, whose tokens look back only (unless the config says otherwise).
DECODERS = frozenset({
    "bloom", "codegen", "cohere", "cohere2", "deepseek_v2", "deepseek_v3", "falcon", "gemma",
    "gemma2", "gemma3_text", "glm", "glm4", "gpt2", "gpt_bigcode", "gpt_neo", "gpt_neox",
    "gpt_oss", "gptj", "granite", "llama", "ministral", "mistral", "mixtral", "mpt", "olmo",
    "olmo2", "opt", "persimmon", "phi", "phi3", "qwen2", "qwen2_moe", "qwen3", "qwen3_moe",
    "smollm3", "stablelm", "starcoder2", "xglm",
})  # fmt: skip
#: Their first position number is the padding id + 1, so they have that many positions fewer.
_OFFSET_POSITIONS = frozenset({
    "roberta", "xlm-roberta", "camembert", "xlm-roberta-xl", "mpnet", "longformer",
    "data2vec-text",
})  # fmt: skip
#: ``model_type`` of models with a tower for texts and one for pictures, whose vectors meet.
TWO_TOWERS = frozenset({
    "clip", "siglip", "siglip2", "chinese_clip", "align", "altclip", "metaclip_2", "mobileclip",
})  # fmt: skip
#: A plain checkpoint says how much it can read, not how much is sensible; this caps the default.
PLAIN_LENGTH = 512
#: Tokenizers write numbers like 1e30 for 'no limit'.
_NO_LIMIT = 1_000_000


def text_config(config: JsonDict) -> JsonDict:
    """The part about text, where a model of several parts has one."""
    inner = config.get("text_config")
    return inner if isinstance(inner, dict) else config


def is_causal(config: JsonDict) -> bool:
    """Whether attention looks back only."""
    text = text_config(config)
    if text.get("is_causal") is False or text.get("use_bidirectional_attention"):
        return False
    architectures = config.get("architectures") or [""]
    return str(architectures[0]).endswith("ForCausalLM") or text.get("model_type") in DECODERS


def position_limit(config: JsonDict, tokenizer: JsonDict) -> int | None:
    """The most tokens the model can read, special ones included; None where nothing limits it."""
    text = text_config(config)
    limits = [
        _limit(text.get("max_position_embeddings")),
        _limit(tokenizer.get("model_max_length")),
    ]
    if limits[0] and text.get("model_type") in _OFFSET_POSITIONS:
        limits[0] -= int(text.get("pad_token_id", 1) or 0) + 1
    known = [limit for limit in limits if limit]
    return min(known) if known else None


def hidden_size(config: JsonDict) -> int:
    """The width of a token's vector, 0 where the config does not say."""
    text = text_config(config)
    for key in ("hidden_size", "d_model", "dim", "n_embd"):
        if isinstance(text.get(key), int):
            return int(text[key])
    return 0


def joint_size(config: JsonDict) -> int:
    """The length of the vectors that texts and pictures share, 0 where the config does not say."""
    text = text_config(config)
    for said in (config.get("projection_dim"), text.get("projection_size"), hidden_size(config)):
        if isinstance(said, int) and said > 0:
            return said
    return 0


def dtype_name(config: JsonDict) -> str:
    """The number format the weights were saved in."""
    name = config.get("dtype") or config.get("torch_dtype") or "float32"
    return str(name).removeprefix("torch.")


def _limit(value: Any) -> int | None:
    usable = isinstance(value, (int, float)) and 0 < value < _NO_LIMIT
    return int(value) if usable else None


# Which files of a folder are weights, whether they are all there, and whether they are pickled.

#: Pickled weights by the names that libraries give them, before a shard's number.
PICKLED_NAMES = ("pytorch_model", "model", "adapter_model", "consolidated")
PICKLED_SUFFIXES = (".bin", ".pt", ".pth")
#: An exported model's graph and weights, where sentence-transformers looks for them too.
ONNX_FILE = "onnx/model.onnx"
_POINTER = b"version https://git-lfs"


def check_weights(folder: Path, stem: str) -> None:
    """Raise :class:`ModelUnusable` unless ``folder`` has complete weights.

    ``stem`` is 'model' or 'adapter_model'.
    """
    missing = _missing_shards(folder)
    if missing:
        raise ModelUnusable(
            f"{folder} lacks {len(missing)} of its weight files, '{missing[0]}' among them.",
            "Copy or download the folder again.",
        )
    found = safetensors_of(folder, stem) or pickled_of(folder)
    if not found:
        raise ModelUnusable(
            f"{folder} has no weights: there is no {stem}.safetensors and no .bin file.",
            "Copy the whole folder, weights included.",
        )
    for path in found:
        _refuse_pointer(path)


def check_graph(folder: Path) -> None:
    """Raise :class:`ModelUnusable` unless ``folder`` has a model exported to ONNX."""
    path = folder / ONNX_FILE
    if not path.is_file():
        raise ModelUnusable(
            f"{folder} lacks its weights: there is no {ONNX_FILE}.",
            "Quantize the original model again, or copy the whole folder.",
        )
    _refuse_pointer(path)


def safetensors_of(folder: Path, stem: str = "") -> list[Path]:
    """The safetensors files directly in a folder whose name starts with ``stem``."""
    return sorted(path for path in folder.glob("*.safetensors") if path.name.startswith(stem))


def pickled_of(folder: Path) -> list[Path]:
    """Pickled weights directly in a folder; optimizer states and the like are not among them."""
    return sorted(path for path in folder.iterdir() if is_pickled_weights(path) and path.is_file())


def is_pickled_weights(path: Path) -> bool:
    """Whether a file is named as a model's pickled weights are."""
    stem = path.name.split("-")[0].removesuffix(path.suffix)
    return path.suffix in PICKLED_SUFFIXES and stem in PICKLED_NAMES


def pickled_folders(folder: Path) -> list[Path]:
    """The folders (a model's own and its modules') whose only weights are pickled."""
    places = [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]
    return [place for place in places if pickled_of(place) and not safetensors_of(place)]


def needs_conversion(folder: Path) -> bool:
    """Whether some weights exist only as pickles."""
    return bool(pickled_folders(folder))


def _missing_shards(folder: Path) -> list[str]:
    for index in sorted(folder.glob("*.index.json")):
        if index.name.startswith("pytorch_model") and safetensors_of(folder):
            continue
        try:
            names = sorted(
                set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
            )
        except (OSError, ValueError, KeyError, AttributeError) as error:
            raise ModelUnusable(f"{index} cannot be read: {error}.", "Get it again.") from error
        missing = [name for name in names if not (folder / name).is_file()]
        if missing:
            return missing
    return []


def _refuse_pointer(path: Path) -> None:
    with path.open("rb") as file:
        if file.read(len(_POINTER)) == _POINTER:
            raise ModelUnusable(
                f"{path} is a Git LFS pointer, not the weights themselves.",
                "Fetch them with: git lfs pull",
            )
