"""Builds the sentence-transformers model that lies in a folder. Imports torch: workers only."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import CrossEncoder, MultiVectorEncoder, SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.cross_encoder.modules import LogitScore
from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask
from sentence_transformers.sentence_transformer.modules import Pooling

from workbench.errors import ModelUnusable
from workbench.models.contract import (
    COLBERT_HEAD,
    NO,
    YES,
    Contract,
    has_token_head,
    is_late_folder,
    own_template,
    template_of,
)
from workbench.models.image_text import whole_model
from workbench.models.inspect import Layout
from workbench.models.precision import dtype_of
from workbench.models.quantized import QUANTIZATION_METHODS, is_graph

# How a model's weights are kept in memory: fp32, bf16, or quantized under an adapter.
#
# Imports torch: worker processes only.

#: Heads stay out of the quantization: they are small, often fresh, and trained in full.
HEADS = ["classifier", "pooler", "score", "lm_head"]
#: SigLIP 2 gives its pictures the format of this layer's weights: as bytes, they would be nothing.
_NOT_QUANTIZED = [*HEADS, "patch_embedding"]


@dataclass(frozen=True, slots=True)
class WeightFormat:
    """``quantization`` is '', 'nf4', 'fp4' or 'int8'; ``dtype`` is that of all other weights."""

    dtype: torch.dtype = torch.float32
    quantization: str = ""
    double_quantization: bool = False
    compute_dtype: torch.dtype = torch.float32
    #: True where the folder holds the weights as they are kept: nothing is quantized on loading.
    stored: bool = False

    @property
    def whole(self) -> bool:
        """Full precision: such weights can take an adapter's changes into themselves."""
        return not self.quantization and self.dtype == torch.float32

    def model_kwargs(self, device: str) -> dict[str, Any]:
        """What transformers' ``from_pretrained`` is told."""
        if not self.quantization:
            return {"dtype": self.dtype}
        if self.stored:
            return {"dtype": self.dtype, "device_map": {"": device}}
        from transformers import BitsAndBytesConfig

        if self.quantization == "int8":
            config = BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=_NOT_QUANTIZED)
        else:
            config = BitsAndBytesConfig(
                load_in_4bit=True,
                bnb_4bit_quant_type=self.quantization,
                bnb_4bit_use_double_quant=self.double_quantization,
                bnb_4bit_compute_dtype=self.compute_dtype,
                llm_int8_skip_modules=_NOT_QUANTIZED,
            )
        return {"dtype": self.dtype, "quantization_config": config, "device_map": {"": device}}


FULL = WeightFormat()


def stored_keeping(contract: Contract) -> WeightFormat:
    """How a model's own weights lie in its folder, as its contract says."""
    if not contract.weights:
        return FULL
    stored: WeightFormat = QUANTIZATION_METHODS.get(contract.weights).load().stored
    return stored


def as_kept(model: Any, keeping: WeightFormat) -> Any:
    """The model, all of whose modules have the format of its transformer, in place: a projection
    or a head that stayed in fp32 could not take what comes from weights in 16 bits."""
    if keeping.quantization:
        for module in list(model)[1:]:
            module.to(keeping.dtype)
        return model
    return model.to(keeping.dtype)


def keeping_of(contract: Contract, precision: str) -> WeightFormat:
    """How the frozen weights under an adapter are kept, as its contract says.

    Kept as in training, the scores are those of training. ``precision`` decides in which format
    4-bit weights are multiplied where training was not told another one and all others are in fp32.
    """
    dtype = torch.bfloat16 if contract.dtype == "bfloat16" else torch.float32
    if contract.quantization:
        compute = compute_dtype(contract.compute_dtype, precision, dtype)
        return WeightFormat(dtype, contract.quantization, contract.double_quantization, compute)
    return WeightFormat(dtype)


def compute_dtype(wanted: str, precision: str, others: torch.dtype) -> torch.dtype:
    """The format that 4-bit weights are multiplied in: the wanted one, else bf16 where that is
    computed in, else that of the ``others``, which are not quantized."""
    if wanted in ("", "auto"):
        return torch.bfloat16 if precision == "bf16" else others
    return dtype_of(wanted)  # type: ignore[arg-type]


def steady(model: torch.nn.Module) -> None:
    """Keep bitsandbytes from repacking 4-bit weights on a CPU, in place.

    It does so at the first evaluation: the scales are rounded to bf16, for good, so training would
    go on over other weights than it began with, and a saved adapter would meet others again. And
    it fails where a layer's width is no multiple of the block.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


def quiet_quantization() -> None:
    """bitsandbytes writes a line per layer in 8 bits, and a complaint about optional kernels."""
    import logging

    for name in ("bitsandbytes", "bitsandbytes.autograd._functions"):
        logging.getLogger(name).setLevel(logging.ERROR)


def refuse_unquantizable(keeping: WeightFormat) -> None:
    """Raise :class:`ModelUnusable` where bitsandbytes is not installed."""
    if not keeping.quantization:
        return
    try:
        import bitsandbytes  # noqa: F401 - only whether it is there
    except ImportError as error:
        raise ModelUnusable(
            "The model's weights are stored in 4 or 8 bits, and bitsandbytes is not installed.",
            "Install it with: pip install bitsandbytes",
        ) from error


@dataclass(frozen=True, slots=True)
class Parts:
    """What there is to build from."""

    folder: Path
    layout: Layout
    contract: Contract
    device: str
    trust_remote_code: bool = False
    keeping: WeightFormat = FULL

    @property
    def shared(self) -> dict[str, Any]:
        about: dict[str, Any] = {
            "trust_remote_code": self.trust_remote_code,
            "local_files_only": True,
        }
        # Read by sentence-transformers, which then has its graph loaded by models/load.py.
        return about | ({"backend": "onnx"} if is_graph(self.contract) else {})

    @property
    def model_kwargs(self) -> dict[str, Any]:
        return self.keeping.model_kwargs(self.device)


def assemble(parts: Parts) -> Any:
    """A SentenceTransformer (of texts, or of texts and pictures), CrossEncoder or
    MultiVectorEncoder, as the contract's kind says.

    Weights are fp32 unless ``keeping`` says otherwise: left alone, a bf16 checkpoint would stay
    bf16, which trains badly.
    """
    kind = parts.contract.model_kind
    model = kind.load(kind.assemble)(parts)
    _give_padding(model)
    if parts.keeping.quantization:
        steady(model)
    if parts.keeping.whole:
        return model.float()
    # What stands beside the transformer (a projection) is trained along: bf16 would lose its small
    # updates, and the library has just rounded it to the transformer's format.
    for module in list(model)[1:]:
        module.float()
    restore_modules(model, parts.folder)
    return model


def embedding(parts: Parts) -> SentenceTransformer:
    if parts.layout != "transformers":
        return SentenceTransformer(
            str(parts.folder), device=parts.device, model_kwargs=parts.model_kwargs, **parts.shared
        )
    contract = parts.contract
    transformer = _plain_transformer(parts)
    mode = "mean" if contract.pooling == "other" else contract.pooling
    modules = [transformer, Pooling(transformer.get_embedding_dimension(), mode)]
    modules += [Normalize()] if contract.normalize else []
    return SentenceTransformer(modules=modules, device=parts.device)


def image_text(parts: Parts) -> SentenceTransformer:
    """sentence-transformers tells the two towers by the checkpoint itself, in either layout. Where
    another model reads the pictures, this is a model of texts."""
    if parts.contract.pictures_by:
        return embedding(parts)
    return whole_model(parts.folder, parts.device, model_kwargs=parts.model_kwargs, **parts.shared)


def _plain_transformer(parts: Parts) -> Transformer:
    # Without this, a tokenizer with a chat template would wrap each text in a conversation.
    text_only, output = Transformer._get_default_modality_config({})
    return Transformer(
        str(parts.folder),
        model_kwargs={**parts.shared, **parts.model_kwargs, "use_safetensors": True},
        processor_kwargs=dict(parts.shared),
        config_kwargs=dict(parts.shared),
        modality_config=text_only,
        module_output_name=output,
    )


def reranker(parts: Parts) -> CrossEncoder:
    """Scores are the logits themselves: a sigmoid would press the best ones together."""
    plain = torch.nn.Identity()
    if parts.contract.architecture == "llm" and parts.layout == "transformers":
        modules = _llm_modules(parts)
        return CrossEncoder(modules=modules, device=parts.device, activation_fn=plain)
    about: dict[str, Any] = {} if parts.contract.architecture == "llm" else {"num_labels": 1}
    model = CrossEncoder(
        str(parts.folder),
        device=parts.device,
        activation_fn=plain,
        model_kwargs=parts.model_kwargs,
        **about,
        **parts.shared,
    )
    _name_padding(model)
    if parts.contract.architecture == "llm":
        _ask_as(model, parts.contract)
    return model


def _ask_as(model: CrossEncoder, contract: Contract) -> None:
    """A saved LLM reranker asked by the contract's prompt and answers, where it has any; what it
    does not say stays as the folder's own files have it."""
    if contract.prompt_template:
        model.tokenizer.chat_template = template_of(contract)
    for module in model:
        if isinstance(module, LogitScore) and contract.yes_token and contract.no_token:
            module.true_token_id = _answer_id(model.tokenizer, contract.yes_token)
            module.false_token_id = _answer_id(model.tokenizer, contract.no_token)


def _llm_modules(parts: Parts) -> list[torch.nn.Module]:
    contract = parts.contract
    yes, no = contract.yes_token or YES, contract.no_token or NO
    processor: dict[str, Any] = dict(parts.shared)
    if contract.prompt_template or not own_template(parts.folder):
        processor["chat_template"] = template_of(contract)
    transformer = Transformer(
        str(parts.folder),
        transformer_task="text-generation",
        model_kwargs={**parts.shared, **parts.model_kwargs},
        processor_kwargs=processor,
        config_kwargs=dict(parts.shared),
    )
    ids = [_answer_id(transformer.tokenizer, word) for word in (yes, no)]
    return [transformer, LogitScore(*ids)]


def _answer_id(tokenizer: Any, word: str) -> int:
    """The one token that an answer is; some tokenizers have it with a space before it only."""
    for text in (word, f" {word}"):
        ids = tokenizer.encode(text, add_special_tokens=False)
        if len(ids) == 1 and ids[0] != tokenizer.unk_token_id:
            return int(ids[0])
    raise ModelUnusable(
        f"The tokenizer has no single token for the answer '{word}'.",
        "Choose other answers in yes_token and no_token, for example Yes and No or 1 and 0.",
    )


def late_interaction(parts: Parts) -> MultiVectorEncoder:
    if has_token_head(parts.folder):
        return MultiVectorEncoder(modules=_with_own_head(parts), device=parts.device)
    about = {"device": parts.device, **parts.shared}
    model = MultiVectorEncoder(str(parts.folder), model_kwargs=parts.model_kwargs, **about)
    wanted = parts.contract.dimensions
    fresh = not holds_projection(parts.folder)
    if fresh and wanted and model.get_embedding_dimension() != wanted:
        # The library makes it 128 wide.
        model[1] = _projection(model[0].get_embedding_dimension(), wanted).to(model.device)
    return model


def holds_projection(folder: Path) -> bool:
    """Whether a folder's files hold a projection to a vector per token, in any of three layouts:
    sentence-transformers' own, Stanford's ColBERT, bge-m3."""
    if is_late_folder(folder):
        return any(folder.glob("*Dense*/model.safetensors"))
    if has_token_head(folder):
        return True
    config = folder / "config.json"
    return config.is_file() and "HF_ColBERT" in config.read_text(encoding="utf-8")


def lacks_projection(folder: Path) -> bool:
    """Whether a late-interaction model of this base needs a projection that it does not bring."""
    return not is_late_folder(folder) and not holds_projection(folder)


def _with_own_head(parts: Parts) -> list[torch.nn.Module]:
    """bge-m3's layout: every token but the first goes through ``colbert_linear`` (M3-Embedding,
    Chen et al. 2024). sentence-transformers alone would put a random projection there."""
    transformer = _plain_transformer(parts)
    weights = torch.load(parts.folder / COLBERT_HEAD, map_location="cpu", weights_only=True)
    size, width = weights["weight"].shape
    head = _projection(width, size, bias="bias" in weights)
    head.linear.load_state_dict({name: value.float() for name, value in weights.items()})
    first = transformer.tokenizer.cls_token
    mask = MultiVectorMask(
        skiplist_words=[first] if first else [], skiplist_tasks=["query", "document"]
    )
    return [transformer, head, mask, Normalize(module_input_name="token_embeddings")]


def _projection(width: int, size: int, *, bias: bool = False) -> Dense:
    return Dense(
        in_features=width,
        out_features=size,
        bias=bias,
        activation_function=torch.nn.Identity(),
        module_input_name="token_embeddings",
    )


def _give_padding(model: Any) -> None:
    """Decoders often have no padding token; what stands there is masked, so any will do."""
    tokenizer: Any = getattr(model[0], "tokenizer", None)
    if getattr(tokenizer, "pad_token", "") is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token


def _name_padding(model: CrossEncoder) -> None:
    """A score head on a decoder looks for the last token before the padding: it must know it."""
    _give_padding(model)
    config: Any = model.config
    if config is not None and getattr(config, "pad_token_id", None) is None:
        config.pad_token_id = model.tokenizer.pad_token_id


# Attaches an adapter to its base.

#: What of an adapter's folder is the adapter itself; the rest is the model around it.
_ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")
_BASE_FILES = ("config.json", "*.safetensors", "*.safetensors.index.json")


@contextmanager
def overlay(adapter: Path, base: Path) -> Iterator[Path]:
    """A folder of links: the base's weights in the middle of the adapter's own modules.

    An adapter saved by sentence-transformers brings everything but the base's weights: tokenizer,
    pooling, projection, prompt. Its file names the base by a path that may not exist any more; this
    joins them wherever both are now.
    """
    base = _transformer_folder(base)
    with tempfile.TemporaryDirectory(prefix="workbench-overlay-") as made:
        folder = Path(made)
        for path in adapter.iterdir():
            if path.name not in _ADAPTER_FILES:
                (folder / path.name).symlink_to(path.resolve())
        for pattern in _BASE_FILES:
            for path in base.glob(pattern):
                _replace(path.resolve(), folder / path.name)
        yield folder


def attach(model: Any, adapter: Path, keeping: WeightFormat) -> None:
    """Put an adapter on a sentence-transformers model, in place.

    On weights in full precision it is merged: as fast as the base, the same numbers to 1e-6. Over
    bf16 or quantized weights it stays beside them in fp32, as it was trained.
    """
    inner = model[0].model
    if keeping.whole:
        from peft import PeftModel

        device = str(next(inner.parameters()).device)
        adapted: Any = PeftModel.from_pretrained(inner, str(adapter), torch_device=device)
        model[0].model = adapted.merge_and_unload()
        return
    model.load_adapter(str(adapter))
    trainable_in_fp32(inner)
    copy_exactly(inner, adapter)


def trainable_in_fp32(inner: torch.nn.Module) -> None:
    """Adapter weights (and heads trained along) in fp32: bf16 would lose small updates."""
    for name, module in inner.named_modules():
        if "lora_" in name or "modules_to_save" in name:
            for parameter in module.parameters(recurse=False):
                if parameter.is_floating_point():
                    parameter.data = parameter.data.float()


def copy_exactly(inner: torch.nn.Module, adapter: Path) -> None:
    """The saved adapter's numbers into an adapter that is there, unrounded: loading it had
    rounded them to its base's format."""
    from peft import set_peft_model_state_dict
    from safetensors.torch import load_file

    saved = load_file(str(adapter / "adapter_model.safetensors"))
    prefix = "base_model.model."
    set_peft_model_state_dict(
        inner, {name.removeprefix(prefix): value for name, value in saved.items()}
    )


def restore_modules(model: Any, folder: Path) -> None:
    """The saved numbers, unrounded, of what stands beside the transformer.

    Nothing where a folder has the transformer alone, or was made into a model of another kind.
    """
    from safetensors.torch import load_file

    path = folder / "modules.json"
    if not path.is_file():
        return
    saved = json.loads(path.read_text(encoding="utf-8"))
    for about, module in list(zip(saved, model, strict=False))[1:]:
        weights = folder / about["path"] / "model.safetensors"
        same = str(about["type"]).rpartition(".")[2] == type(module).__name__
        if same and weights.is_file():
            module.load_state_dict(load_file(str(weights)))


def _transformer_folder(base: Path) -> Path:
    """Where the transformer lies in a model's folder; sentence-transformers may nest it."""
    if (base / "config.json").is_file():
        return base
    nested = sorted(path.parent for path in base.glob("*/config.json") if _has_weights(path.parent))
    if not nested:
        raise ModelUnusable(f"{base} has no transformer that an adapter could be put on.")
    return nested[0]


def _has_weights(folder: Path) -> bool:
    return any(folder.glob("*.safetensors"))


def _replace(source: Path, link: Path) -> None:
    link.unlink(missing_ok=True)
    link.symlink_to(source)
