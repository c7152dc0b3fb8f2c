"""Builds the sentence-transformers model that lies in a folder. Imports torch: workers only."""

from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling

from workbench.models.contract import Contract
from workbench.models.inspect import Layout


def assemble(
    folder: Path, layout: Layout, contract: Contract, device: str, trust_remote_code: bool
) -> SentenceTransformer:
    """The model in fp32: left alone, a bf16 checkpoint would stay bf16, which trains badly."""
    if layout == "sentence-transformers":
        model = SentenceTransformer(
            str(folder),
            device=device,
            trust_remote_code=trust_remote_code,
            local_files_only=True,
            model_kwargs={"dtype": torch.float32},
        )
    else:
        modules = _modules(folder, contract, trust_remote_code)
        model = SentenceTransformer(modules=modules, device=device)
    _give_padding(model)
    return model.float()


def _modules(folder: Path, contract: Contract, trust_remote_code: bool) -> list[torch.nn.Module]:
    """A plain checkpoint with pooling and scaling as the contract says."""
    shared = {"trust_remote_code": trust_remote_code, "local_files_only": True}
    # Without this, a tokenizer with a chat template would wrap each text in a conversation.
    text_only, output = Transformer._get_default_modality_config({})
    transformer = Transformer(
        str(folder),
        model_kwargs={**shared, "dtype": torch.float32, "use_safetensors": True},
        processor_kwargs=dict(shared),
        config_kwargs=dict(shared),
        modality_config=text_only,
        module_output_name=output,
    )
    mode = "mean" if contract.pooling == "other" else contract.pooling
    modules = [transformer, Pooling(transformer.get_embedding_dimension(), mode)]
    return [*modules, Normalize()] if contract.normalize else modules


def _give_padding(model: SentenceTransformer) -> None:
    """Decoders often have no padding token; what stands there is masked, so any will do."""
    tokenizer: Any = getattr(model[0], "tokenizer", None)
    if getattr(tokenizer, "pad_token", "") is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
