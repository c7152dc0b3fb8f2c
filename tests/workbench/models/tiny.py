"""Real models of a few kilobytes, with weights drawn by a seed. Imports torch."""

from pathlib import Path
from typing import Any

_SENTENCE = "the a of to in is for and on by it quick brown fox jumps over lazy dog cat sat mat"
WORDS = _SENTENCE.split()


def tokenizer(folder: Path) -> None:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    made = Tokenizer(WordLevel({w: n for n, w in enumerate([*special, *WORDS])}, unk_token="[UNK]"))
    made.pre_tokenizer = Whitespace()
    made.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=made,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=64,
    ).save_pretrained(folder)


def bert(folder: Path, seed: int = 0, **config: Any) -> Path:
    """A BERT checkpoint without pooling: two layers, 32 dimensions, 64 positions."""
    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(seed)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    made = BertModel(
        BertConfig(
            vocab_size=4 + len(WORDS),
            intermediate_size=64,
            max_position_embeddings=64,
            **shape,
            **config,
        )
    )
    # Freshly drawn weights are so small that all texts look alike.
    for weight in made.parameters():
        weight.data.mul_(5.0)
    made.save_pretrained(folder)
    tokenizer(folder)
    return folder


def pickled(folder: Path) -> Path:
    """The same checkpoint with pytorch_model.bin instead of safetensors."""
    import torch
    from safetensors.torch import load_file

    path = folder / "model.safetensors"
    torch.save(load_file(path), folder / "pytorch_model.bin")
    path.unlink()
    return folder
