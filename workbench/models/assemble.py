"""Builds the sentence-transformers model that lies in a folder. Imports torch: workers only."""

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
from workbench.models.adapters import restore_modules
from workbench.models.contract import Contract
from workbench.models.image_text import whole_model
from workbench.models.inspect import Layout
from workbench.models.keeping import FULL, Keeping, steady
from workbench.models.kinds import COLBERT_HEAD, has_token_head, is_late_folder
from workbench.models.prompts import NO, YES, own_template, template_of
from workbench.models.resolve import ResolvedModel


@dataclass(frozen=True, slots=True)
class Parts:
    """What there is to build from."""

    folder: Path
    layout: Layout
    contract: Contract
    device: str
    trust_remote_code: bool = False
    keeping: Keeping = FULL

    @property
    def shared(self) -> dict[str, Any]:
        about: dict[str, Any] = {
            "trust_remote_code": self.trust_remote_code,
            "local_files_only": True,
        }
        # Read by sentence-transformers, which then has its graph loaded by models/onnx.py.
        return about | ({"backend": "onnx"} if self.contract.is_onnx else {})

    @property
    def model_kwargs(self) -> dict[str, Any]:
        return self.keeping.model_kwargs(self.device)


def assemble(parts: Parts) -> Any:
    """A SentenceTransformer (of texts, or of texts and pictures), CrossEncoder or
    MultiVectorEncoder, as the contract's kind says.

    Weights are fp32 unless ``keeping`` says otherwise: left alone, a bf16 checkpoint would stay
    bf16, which trains badly.
    """
    build = {
        "embedding": _embedding,
        "reranker": _reranker,
        "late-interaction": _late,
        "image-text": _image_text,
    }
    model = build[parts.contract.kind](parts)
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


def _embedding(parts: Parts) -> SentenceTransformer:
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


def _image_text(parts: Parts) -> SentenceTransformer:
    """sentence-transformers tells the two towers by the checkpoint itself, in either layout. Where
    another model reads the pictures, this is a model of texts."""
    if parts.contract.pictures_by:
        return _embedding(parts)
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


def _reranker(parts: Parts) -> CrossEncoder:
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


def _late(parts: Parts) -> MultiVectorEncoder:
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


def brings_projection(base: ResolvedModel) -> bool:
    """Whether the base's own files hold a projection to a vector per token."""
    folder = Path(base.source)
    return folder.is_dir() and holds_projection(folder)


def holds_projection(folder: Path) -> bool:
    """Whether a folder's files hold a projection to a vector per token, in any of three layouts:
    sentence-transformers' own, Stanford's ColBERT, bge-m3."""
    if is_late_folder(folder):
        return any(folder.glob("*Dense*/model.safetensors"))
    if has_token_head(folder):
        return True
    config = folder / "config.json"
    return config.is_file() and "HF_ColBERT" in config.read_text(encoding="utf-8")


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
