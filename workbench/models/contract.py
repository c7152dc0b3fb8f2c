"""What must be known of a model to use it as it was trained; saved beside its weights, obeyed
in evaluation, indexing, search and export."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

CONTRACT_FILE = "contract.json"
#: Below a model whose texts and pictures are read by two models: the one of the pictures.
PICTURES = "pictures"

Kind = Literal["embedding", "reranker", "late-interaction", "image-text"]
#: How a model's own weights are kept on disk and used: '' as they were trained, 'int8' in
#: bitsandbytes' 8 bits, 'onnx' and 'onnx-int8' as a graph for ONNX Runtime.
Weights = Literal["", "bf16", "fp16", "nf4", "fp4", "int8", "onnx", "onnx-int8"]
Pooling = Literal["mean", "cls", "lasttoken", "max", "weightedmean", "other"]


class Contract(BaseModel):
    """A model's contract. Lengths are in tokens, special tokens included."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: Kind = "embedding"
    pooling: Pooling = "mean"
    normalize: bool = True
    #: Attention direction: True for decoders that look back only.
    causal: bool = False
    query_prompt: str = ""
    document_prompt: str = ""
    #: Stands between a document's title and its text, where it has a title.
    title_separator: str = " "
    query_max_len: int = 512
    passage_max_len: int = 512
    dimensions: int = 0
    #: Rerankers: 'cross-encoder' (a score head) or 'llm' (the log-odds of two answer tokens).
    architecture: Literal["", "cross-encoder", "llm"] = ""
    yes_token: str = ""
    no_token: str = ""
    instruction: str = ""
    #: An LLM reranker's prompt with {query} and {document}; empty: the tokenizer's chat template.
    prompt_template: str = ""
    #: The name of the model that reads the pictures, where it is another than the one of the texts:
    #: its files lie in the folder :data:`PICTURES` below the model's own.
    pictures_by: str = ""
    #: How the frozen weights under an adapter were kept in training: used so, scores are the same.
    quantization: Literal["", "nf4", "fp4", "int8"] = ""
    double_quantization: bool = False
    #: How a quantized model's own weights are kept.
    weights: Weights = ""
    #: The format that 4-bit weights are multiplied in; empty: as the computation.
    compute_dtype: Literal["", "fp32", "bf16", "fp16"] = ""
    dtype: str = "float32"
    base_model: str = ""
    dataset: str = ""
    dataset_version: int | None = None

    @property
    def is_onnx(self) -> bool:
        """Whether ONNX Runtime computes the model, on a CPU."""
        return self.weights.startswith("onnx")

    def join(self, title: str, text: str) -> str:
        """A document as the model reads it (without the prompt)."""
        return f"{title}{self.title_separator}{text}" if title else text

    def write(self, folder: Path) -> None:
        """Save as contract.json in the model's folder: the old one or the new one, never half."""
        beside = folder / f"{CONTRACT_FILE}.new"
        beside.write_text(self.dump(), encoding="utf-8")
        beside.replace(folder / CONTRACT_FILE)

    def dump(self) -> str:
        """What :meth:`write` writes."""
        return self.model_dump_json(indent=2) + "\n"

    @classmethod
    def read(cls, folder: Path) -> "Contract | None":
        """The saved contract, or None where the folder has none."""
        path = folder / CONTRACT_FILE
        if not path.is_file():
            return None
        return cls.model_validate_json(path.read_text(encoding="utf-8"))
