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
from workbench.models.inspect import Layout
from workbench.models.keeping import FULL, Keeping, steady
from workbench.models.prompts import INSTRUCTION, NO, TEMPLATE, YES, chat_template
from workbench.models.resolve import ResolvedModel

#: bge-m3's own head for a vector per token.
COLBERT_HEAD = "colbert_linear.pt"


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
        return {"trust_remote_code": self.trust_remote_code, "local_files_only": True}

    @property
    def model_kwargs(self) -> dict[str, Any]:
        return self.keeping.model_kwargs(self.device)


def assemble(parts: Parts) -> Any:
    """A SentenceTransformer, CrossEncoder or MultiVectorEncoder, as the contract's kind says.

    Weights are fp32 unless ``keeping`` says otherwise: left alone, a bf16 checkpoint would stay
    bf16, which trains badly.
    """
    build = {"embedding": _embedding, "reranker": _reranker, "late-interaction": _late}
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
    return model


def _llm_modules(parts: Parts) -> list[torch.nn.Module]:
    contract = parts.contract
    yes, no = contract.yes_token or YES, contract.no_token or NO
    processor: dict[str, Any] = dict(parts.shared)
    if contract.prompt_template or not _has_chat_template(parts.folder):
        processor["chat_template"] = chat_template(
            contract.prompt_template or TEMPLATE,
            instruction=contract.instruction or INSTRUCTION,
            yes=yes,
            no=no,
        )
    transformer = Transformer(
        str(parts.folder),
        transformer_task="text-generation",
        model_kwargs={**parts.shared, **parts.model_kwargs},
        processor_kwargs=processor,
        config_kwargs=dict(parts.shared),
    )
    ids = [_answer_id(transformer.tokenizer, word) for word in (yes, no)]
    return [transformer, LogitScore(*ids)]


def _has_chat_template(folder: Path) -> bool:
    """A template of the model's own that knows queries and documents; a plain chat does not."""
    path = folder / "chat_template.jinja"
    if not path.is_file():
        return False
    text = path.read_text(encoding="utf-8")
    return "query" in text and "document" in text


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
    about = {"device": parts.device, **parts.shared}
    if parts.layout == "transformers" and (parts.folder / COLBERT_HEAD).is_file():
        return MultiVectorEncoder(modules=_with_own_head(parts), device=parts.device)
    model = MultiVectorEncoder(str(parts.folder), model_kwargs=parts.model_kwargs, **about)
    wanted = parts.contract.dimensions
    if wanted and model.get_embedding_dimension() != wanted:
        # Only a fresh one has another size than the contract: the library makes it 128 wide.
        model[1] = _projection(model[0].get_embedding_dimension(), wanted).to(model.device)
    return model


def brings_projection(base: ResolvedModel) -> bool:
    """Whether the base's own files hold a projection to a vector per token."""
    folder = Path(base.source)
    if not folder.is_dir():
        return False
    if (folder / "modules.json").is_file():
        return _late_folder(folder)
    config = folder / "config.json"
    stanford = config.is_file() and "HF_ColBERT" in config.read_text(encoding="utf-8")
    return stanford or (folder / COLBERT_HEAD).is_file()


def _late_folder(folder: Path) -> bool:
    """A sentence-transformers folder of a late-interaction model, with its projection."""
    about = folder / "config_sentence_transformers.json"
    said = about.read_text(encoding="utf-8") if about.is_file() else ""
    late = any(name in said for name in ("MultiVectorEncoder", "ColBERT"))
    return late and any(folder.glob("*Dense*/model.safetensors"))


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
