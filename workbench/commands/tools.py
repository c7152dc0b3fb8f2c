"""Whose command it is, for which kind of model, and what that tool does when a word is left out.

The defaults were read in the tools' own sources: FlagEmbedding's ``AbsArguments.py`` (and the
decoder's ``arguments.py``), open-retrievals' ``pipelines``, RAG-Retrieval's ``train_*.py`` (whose
words EmbedRAG has), AutoTrain's ``sent_transformers/params.py``, transformers' TrainingArguments.
"""

from dataclasses import dataclass
from typing import Any

from workbench.commands.parse import Command

Values = dict[str, Any]

#: transformers' TrainingArguments.
_TRAINER: Values = {
    "epochs": 3.0,
    "batch_size": 8,
    "learning_rate": 5e-5,
    "warmup": 0.0,
    "scheduler": "linear",
}
_FLAG: Values = {**_TRAINER, "negatives": 7, "query_max_len": 32, "passage_max_len": 128}
_RAG: Values = {
    "epochs": 2.0,
    "learning_rate": 5e-5,
    "warmup": 0.05,
    "scheduler": "cosine",
    "weight_decay": 0.01,
}
_RAG_PAIRS: Values = {
    **_RAG,
    "negatives": 15,
    "query_max_len": 128,
    "passage_max_len": 512,
    "temperature": 0.02,
}
_RETRIEVALS: Values = {**_TRAINER, "query_max_len": 32, "passage_max_len": 128}
#: FlagEmbedding trains decoders with LoRA unless told otherwise.
_FLAG_DECODER: Values = {
    "method": "lora",
    "lora_r": 64,
    "lora_alpha": 16,
    "lora_dropout": 0.1,
    "target_modules": "v_proj,q_proj,k_proj,gate_proj,down_proj,o_proj,up_proj",
}

_DEFAULTS: dict[str, dict[str, Values]] = {
    "FlagEmbedding": {
        "embedding": {**_FLAG, "temperature": 0.02},
        "reranker": {**_FLAG, "objective": "contrastive", "temperature": 1.0},
        "late-interaction": {**_FLAG, "temperature": 0.02},
    },
    "EmbedRAG": {
        "embedding": _RAG_PAIRS,
        "reranker": {**_RAG, "warmup": 0.1, "batch_size": 8, "objective": "bce"},
        "late-interaction": {**_RAG_PAIRS, "token_dimensions": 768},
    },
    "open-retrievals": {
        "embedding": {**_RETRIEVALS, "negatives": 1, "temperature": 0.02},
        "reranker": {**_TRAINER, "negatives": 7, "objective": "bce"},
        "late-interaction": {**_TRAINER, "negatives": 7, "temperature": 0.02},
    },
    "sentence-transformers": dict.fromkeys(("embedding", "reranker", "late-interaction"), _TRAINER),
    "AutoTrain": {
        "embedding": {
            "epochs": 3.0,
            "batch_size": 8,
            "learning_rate": 3e-5,
            "warmup": 0.1,
            "scheduler": "linear",
            "query_max_len": 128,
            "passage_max_len": 128,
        }
    },
}

_OWN = "Retrieval Workbench"
#: Words that only one tool has.
_RAG_WORDS = {
    "neg_nums", "finetune_type", "warmup_proportion", "num_max_checkpoints", "save_on_epoch_end",
    "train_dataset_vec", "colbert_dim",
}  # fmt: skip
_RAG_TYPES = ("seqclassificationranker", "bert_encoder", "llm_decoder")
_FLAG_WORDS = {
    "query_instruction_for_retrieval", "query_instruction_for_rerank", "normlized",
    "use_inbatch_neg", "normalize_embeddings", "knowledge_distillation",
    "same_dataset_within_batch", "passage_max_len", "no_in_batch_neg_flag", "kd_loss_type",
    "sentence_pooling_method",
}  # fmt: skip
_RETRIEVALS_WORDS = {
    "document_max_length", "query_max_length", "use_inbatch_negative", "positive_key",
    "negative_key", "unfold_each_positive",
}  # fmt: skip
_RERANK_WORDS = {"query_instruction_for_rerank", "passage_instruction_for_rerank", "loss_type"}


@dataclass(frozen=True, slots=True)
class Tool:
    """A command's tool and kind. ``defaults`` are the recipe's values for words left out."""

    name: str
    kind: str
    defaults: Values


def recognise(command: Command) -> Tool:
    """The tool by its program's name, else by the words that only it has."""
    words = {option.word: option.text.lower() for option in command.options}
    name, kind = _name(command.program.lower(), words), _kind(command.program.lower(), words)
    return Tool(name, kind, defaults(name, kind, command.program.lower()))


def defaults(name: str, kind: str, program: str = "") -> Values:
    """What the tool does where the command says nothing."""
    known = _DEFAULTS.get(name, {}).get(kind, {})
    decoder = name == "FlagEmbedding" and ("decoder_only" in program or "icl" in program)
    return {**known, **_FLAG_DECODER} if decoder else dict(known)


def _name(program: str, words: dict[str, str]) -> str:
    named = {
        "flagembedding": "FlagEmbedding",
        "retrievals.": "open-retrievals",
        "embedrag": "EmbedRAG",
        "rag_retrieval": "EmbedRAG",
        "autotrain": "AutoTrain",
        "workbench": _OWN,
    }
    for part, name in named.items():
        if part in program:
            return name
    if words.get("model_type", "") in _RAG_TYPES:
        return "EmbedRAG"
    for one, name in (
        (_RAG_WORDS, "EmbedRAG"),
        (_RETRIEVALS_WORDS, "open-retrievals"),
        (_FLAG_WORDS, "FlagEmbedding"),
    ):
        if one & words.keys():
            return name
    return "sentence-transformers"


def _kind(program: str, words: dict[str, str]) -> str:
    said = words.get("kind", "")
    if said in ("embedding", "reranker", "late-interaction"):
        return said
    about = f"{program} {words.get('model_type', '')} {words.get('train_type', '')}"
    if "colbert" in about or "colbert_dim" in words or "multi_vector" in about:
        return "late-interaction"
    ranks = any(
        part in about.replace("-", "_")
        for part in ("rerank", "cross_encoder", "crossencoder", "ranker")
    )
    return "reranker" if ranks or _RERANK_WORDS & words.keys() else "embedding"
