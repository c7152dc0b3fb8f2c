"""Reads what a model folder is from its own files: its layout, its contract, its weights.

Nothing is loaded and torch is not imported, so the page and the command line can say at the click
that a folder holds no model, and why.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args

from workbench.errors import BadInput, ModelUnusable
from workbench.model_kinds import MODEL_KINDS, first_stages, seeing
from workbench.models.architecture import (
    PLAIN_LENGTH,
    JsonDict,
    check_graph,
    check_weights,
    dtype_name,
    hidden_size,
    is_causal,
    joint_size,
    position_limit,
)
from workbench.models.contract import (
    PICTURES,
    Contract,
    Pooling,
    as_kind,
    has_two_towers,
    kind_of_checkpoint,
    kind_of_modules,
)
from workbench.models.quantized import is_graph

Layout = Literal["sentence-transformers", "transformers", "adapter"]

#: Adapters that can be added to their base's weights, as peft spells them.
MERGEABLE = frozenset({
    "LORA", "ADALORA", "LOHA", "LOKR", "IA3", "OFT", "BOFT", "VERA", "FOURIERFT", "HRA",
    "LN_TUNING",
})  # fmt: skip
_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer.model",
    "vocab.txt",
    "vocab.json",
    "sentencepiece.bpe.model",
    "spiece.model",
    "sentencepiece.model",
)
_MODES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_lasttoken": "lasttoken",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
}


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """What a folder holds. ``base`` is an adapter's base model as its own file names it."""

    path: Path
    layout: Layout
    contract: Contract
    base: str | None = None


def inspect_folder(folder: Path) -> ModelFolder:
    """What kind of model lies in ``folder``; raises :class:`ModelUnusable` saying what is wrong."""
    if not folder.exists():
        raise ModelUnusable(f"There is no folder {folder}.", "Check the path.")
    if not folder.is_dir():
        raise ModelUnusable(f"{folder} is a file, not a model folder.", "Give the folder it is in.")
    if (folder / "adapter_config.json").is_file():
        return _adapter(folder)
    if (folder / "modules.json").is_file():
        return _with_pictures(_sentence_transformers(folder))
    if (folder / "config.json").is_file():
        return _with_pictures(_transformers(folder))
    raise ModelUnusable(_no_model(folder), "A model folder has config.json and model.safetensors.")


def _with_pictures(found: ModelFolder) -> ModelFolder:
    """A model of texts whose pictures another one reads needs that one in its folder."""
    folder = found.path / PICTURES
    if found.contract.pictures_by and not inspect_folder(folder).contract.model_kind.reads_pictures:
        raise ModelUnusable(
            f"{folder} does not hold a model of pictures.", "Get the whole folder again."
        )
    return found


def _adapter(folder: Path) -> ModelFolder:
    config = read_json(folder / "adapter_config.json")
    base, kind = config.get("base_model_name_or_path"), str(config.get("peft_type", "LORA"))
    if not base:
        raise ModelUnusable(f"The adapter in {folder} does not name its base model.")
    if kind.upper() not in MERGEABLE:
        raise ModelUnusable(
            f"The adapter in {folder} is of the kind {kind}, which cannot be added to its base.",
            "LoRA and its relatives can.",
        )
    check_weights(folder, "adapter_model")
    saved = Contract.read(folder)
    if saved is None and (folder / "modules.json").is_file():
        about = read_json(folder / "config_sentence_transformers.json", missing={})
        modules = read_list(folder / "modules.json")
        kind, llm = _kind(folder, about, modules), _has(modules, "LogitScore")
        saved = as_kind(_modules_contract(folder, modules), kind, llm=llm)
    # Without either, the contract is the base's: whoever resolves the base fills it in.
    contract = (saved or Contract()).model_copy(update={"base_model": str(base)})
    return ModelFolder(folder, "adapter", contract, str(base))


def _sentence_transformers(folder: Path) -> ModelFolder:
    about = read_json(folder / "config_sentence_transformers.json", missing={})
    modules = read_list(folder / "modules.json")
    kind = _kind(folder, about, modules)
    first = folder / str(modules[0].get("path", ""))
    saved = Contract.read(folder)
    if is_graph(saved):
        check_graph(first)
    else:
        check_weights(first, "model")
    if (first / "config.json").is_file():
        _refuse_without_tokenizer(first)
    if MODEL_KINDS.get(kind).reads_pictures:
        _refuse_without_processor(first)
    llm = _has(modules, "LogitScore")
    own = as_kind(_modules_contract(folder, modules), kind, llm=llm)
    contract = saved or own
    return ModelFolder(folder, "sentence-transformers", contract)


def _transformers(folder: Path) -> ModelFolder:
    config = read_json(folder / "config.json")
    if "model_type" not in config:
        raise ModelUnusable(f"{folder / 'config.json'} does not say which kind of model it is.")
    kind = kind_of_checkpoint(folder, config)
    check_weights(folder, "model")
    _refuse_without_tokenizer(folder)
    if MODEL_KINDS.get(kind).reads_pictures:
        _refuse_without_processor(folder)
    contract = Contract.read(folder) or as_kind(_plain_contract(folder, config), kind)
    return ModelFolder(folder, "transformers", contract)


def _kind(folder: Path, about: JsonDict, modules: list[JsonDict]) -> str:
    kind = kind_of_modules(folder, about)
    first = folder / str(modules[0].get("path", ""))
    config = read_json(first / "config.json", missing={})
    module = read_json(first / "sentence_bert_config.json", missing={})
    towers = _is(modules[0], "CLIPModel") or has_two_towers(config, module)
    # Both are written by one class.
    return seeing()[0] if kind in first_stages() and towers else kind


def _plain_contract(folder: Path, config: JsonDict) -> Contract:
    """A checkpoint without pooling: the mean of its tokens, or a decoder's last token."""
    causal = is_causal(config)
    tokenizer = read_json(folder / "tokenizer_config.json", missing={})
    length = min(position_limit(config, tokenizer) or PLAIN_LENGTH, PLAIN_LENGTH)
    return Contract(
        pooling="lasttoken" if causal else "mean",
        causal=causal,
        query_max_len=length,
        passage_max_len=length,
        dimensions=_width(config),
        dtype=dtype_name(config),
        base_model=str(config.get("_name_or_path", "")),
    )


def _width(config: JsonDict) -> int:
    """The length of its vectors, as far as the transformer's file says."""
    return joint_size(config) if has_two_towers(config, {}) else hidden_size(config)


def _modules_contract(folder: Path, modules: list[JsonDict]) -> Contract:
    """The contract of a sentence-transformers folder, from its modules' own files."""
    about = read_json(folder / "config_sentence_transformers.json", missing={})
    first = folder / str(modules[0].get("path", ""))
    config = read_json(first / "config.json", missing={})
    prompts = _prompts(about)
    length = _length(first, config)
    pooling, dimensions = _pooling(folder, modules)
    return Contract(
        pooling=pooling,
        # Models compared by cosine may leave the scaling to the comparison; it is done here.
        normalize=_has(modules, "Normalize") or about.get("similarity_fn_name") != "dot",
        causal=is_causal(config),
        query_prompt=prompts[0],
        document_prompt=prompts[1],
        query_max_len=length,
        passage_max_len=length,
        dimensions=int(about.get("truncate_dim") or dimensions or _width(config)),
        dtype=dtype_name(config),
        base_model=str(config.get("_name_or_path", "")),
    )


def _prompts(about: JsonDict) -> tuple[str, str]:
    """Query and document prompt, under the names that sentence-transformers looks for."""
    prompts = about.get("prompts") or {}
    default = prompts.get(about.get("default_prompt_name") or "")
    query = prompts.get("query")
    named = [prompts.get(name) for name in ("document", "passage", "corpus")]
    # sentence-transformers writes an empty 'document' itself beside a model's own 'passage'.
    said = next((text for text in named if text), None)
    document = said or next((text for text in named if text is not None), default)
    return str((default if query is None else query) or ""), str(document or "")


def _length(first: Path, config: JsonDict) -> int:
    tokenizer = read_json(first / "tokenizer_config.json", missing={})
    limit = position_limit(config, tokenizer)
    for path in sorted(first.glob("sentence_*_config.json")):
        if said := read_json(path).get("max_seq_length"):
            positions = position_limit(config, {})
            return min(int(said), positions) if positions else int(said)
    return limit or PLAIN_LENGTH


def _pooling(folder: Path, modules: list[JsonDict]) -> tuple[Pooling, int]:
    """The pooling mode and the vector's length, 0 where the files do not say."""
    mode: Pooling = "other"
    dimensions = 0
    for module in modules:
        config = read_json(folder / str(module.get("path", "")) / "config.json", missing={})
        if _is(module, "Pooling"):
            dimensions = int(
                config.get("embedding_dimension") or config.get("word_embedding_dimension") or 0
            )
            mode = _mode(config)
        elif _is(module, "Dense"):
            dimensions = int(config.get("out_features") or dimensions)
    return mode, dimensions


def _mode(config: JsonDict) -> Pooling:
    said = config.get("pooling_mode")
    on = (
        [said] if isinstance(said, str) else said or [m for k, m in _MODES.items() if config.get(k)]
    )
    return cast(Pooling, on[0]) if len(on) == 1 and on[0] in get_args(Pooling) else "other"


def _has(modules: list[JsonDict], name: str) -> bool:
    return any(_is(module, name) for module in modules)


def _is(module: JsonDict, name: str) -> bool:
    return str(module.get("type", "")).rpartition(".")[2] == name


def _refuse_without_tokenizer(folder: Path) -> None:
    if not any((folder / name).is_file() for name in _TOKENIZER_FILES):
        raise ModelUnusable(
            f"{folder} has a model but no tokenizer.",
            "Copy tokenizer.json and tokenizer_config.json of the original model next to it.",
        )


def _refuse_without_processor(folder: Path) -> None:
    names = ("preprocessor_config.json", "processor_config.json")
    if not any((folder / name).is_file() for name in names):
        raise ModelUnusable(
            f"{folder} has a model of pictures, but nothing says how pictures are prepared for it.",
            "Copy preprocessor_config.json of the original model next to it.",
        )


def is_language_model(folder: Path) -> bool:
    """Whether a folder holds a causal language model with its output layer."""
    config = read_json(folder / "config.json", missing={})
    return str((config.get("architectures") or [""])[0]).endswith("ForCausalLM")


def _no_model(folder: Path) -> str:
    if any(folder.glob("*.gguf")):
        return f"{folder} holds a GGUF file, which is for running, not for training or encoding."
    inside = sorted(path.parent.name for path in folder.glob("*/config.json"))
    if inside:
        return f"{folder} is no model itself, but holds: {', '.join(inside[:5])}."
    return f"{folder} holds no model: neither config.json nor adapter_config.json is there."


def read_json(path: Path, missing: JsonDict | None = None) -> JsonDict:
    """A JSON object; ``missing`` where there is no such file, if that is allowed."""
    if missing is not None and not path.is_file():
        return missing
    value = _load(path)
    if not isinstance(value, dict):
        raise ModelUnusable(f"{path} is not a JSON object.", "The file is damaged; get it again.")
    return value


def read_list(path: Path) -> list[JsonDict]:
    """A JSON array of objects that is not empty."""
    value = _load(path)
    if not isinstance(value, list) or not value or not all(isinstance(one, dict) for one in value):
        raise ModelUnusable(f"{path} is not a list of modules.", "The file is damaged.")
    return value


def _load(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelUnusable(
            f"{path} cannot be read: {error}.", "The file is damaged; get it again."
        ) from error


#: How the architectures that write end.
_WRITERS = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")


def refuse_mute(folder: Path, name: str) -> None:
    """Raise :class:`BadInput` for a model that writes nothing."""
    config = folder / "config.json"
    about = json.loads(config.read_text(encoding="utf-8")) if config.is_file() else {}
    names = [str(one) for one in about.get("architectures") or []]
    if not any(one.endswith(_WRITERS) for one in names):
        kind = names[0] if names else "no language model"
        raise BadInput(
            f"'{name}' cannot write: it is {kind}.",
            "Choose a causal language model, such as a Qwen instruct model, or an endpoint.",
        )
