"""Bases of a given shape with random weights, and texts that fill any length in tokens."""

import json
import random
from pathlib import Path
from typing import Any

#: Of BERT base, MiniLM (6 layers) and Qwen2 1.5B, as their published configurations say.
BERT = {
    "vocab_size": 30522,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "max_position_embeddings": 512,
}
MINILM = {
    **BERT,
    "hidden_size": 384,
    "num_hidden_layers": 6,
    "intermediate_size": 1536,
}
QWEN2 = {
    "vocab_size": 151936,
    "hidden_size": 1536,
    "num_hidden_layers": 28,
    "num_attention_heads": 12,
    "num_key_value_heads": 2,
    "intermediate_size": 8960,
    "max_position_embeddings": 32768,
    "tie_word_embeddings": True,
}
#: The same made small enough for a CPU, to try the benchmark itself.
TINY = {"vocab_size": 9000, "hidden_size": 96, "num_hidden_layers": 2, "intermediate_size": 192}
_SYLLABLES = [first + vowel for first in "bdfgklmnprstvz" for vowel in "aeiou"]
#: Tokens of a decoder's tokenizer, whatever its table of embeddings holds.
_LEARNED = 8000


def made_up(chance: random.Random) -> list[str]:
    """4,000 words."""
    return ["".join(chance.choices(_SYLLABLES, k=3)) for _ in range(4000)]


def write_rows(path: Path, *, rows: int, query: int, passage: int, negatives: int) -> list[str]:
    """JSON lines of words by chance; the result is the texts. ``query`` and ``passage`` are words,
    each at least one token."""
    chance = random.Random(13)
    words = made_up(chance)

    def text(count: int) -> str:
        return " ".join(chance.choices(words, k=count))

    texts = []
    with path.open("w", encoding="utf-8") as file:
        for _ in range(rows):
            asked = chance.choices(words, k=query)
            # The relevant one begins with what its query begins with, so that there is something
            # to learn.
            right = " ".join([*asked[: query // 4], text(passage)])
            found = [" ".join(asked), right, *(text(passage) for _ in range(negatives))]
            row = {"query": found[0], "pos": found[1:2], "neg": found[2:]}
            file.write(json.dumps(row) + "\n")
            texts += found
    return texts


def write_mixed(path: Path, rows: int) -> None:
    """JSON lines of pairs whose lengths are as real ones are, log-normal: queries of some 15 tokens
    of MiniLM, documents of some 130, a tenth of them above 250."""
    chance = random.Random(13)
    words = ["".join(chance.choices(_SYLLABLES, k=chance.choice((1, 2)))) for _ in range(4000)]

    def text(median: float, spread: float) -> list[str]:
        return chance.choices(words, k=round(min(median * chance.lognormvariate(0, spread), 600)))

    with path.open("w", encoding="utf-8") as file:
        for _ in range(rows):
            asked, right = text(8, 0.3), text(90, 0.4)
            row = {"query": " ".join(asked), "pos": [" ".join([*asked[:3], *right])]}
            file.write(json.dumps(row) + "\n")


def save_encoder(folder: Path, texts: list[str], shape: dict[str, Any], device: str) -> None:
    """A BERT without head, in fp32, whose tokens are whole words."""
    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    with torch.device(device):
        model = BertModel(BertConfig(**shape))
    model.save_pretrained(str(folder))
    save_words(folder, texts, shape["max_position_embeddings"])


def save_words(folder: Path, texts: list[str], limit: int) -> None:
    """A tokenizer whose tokens are the texts' whole words, with one before and one behind a text;
    ``limit`` tokens at most."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    words += sorted({word for text in texts for word in text.split()})
    tokenizer = Tokenizer(models.WordLevel({word: at for at, word in enumerate(words)}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", [("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=limit,
    ).save_pretrained(str(folder))


def save_decoder(
    folder: Path, texts: list[str], shape: dict[str, Any], device: str = "cpu", half: bool = False
) -> None:
    """A Qwen2 language model, in bf16 where ``half``; pairs of bytes are learned from the texts."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_LEARNED,
        special_tokens=["<|endoftext|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([*texts, *["yes yes no no"] * 500], trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<|endoftext|>",
        eos_token="<|im_end|>",
        model_max_length=512,
    )
    torch.manual_seed(0)
    with torch.device(device):
        model = Qwen2ForCausalLM(Qwen2Config(**{"vocab_size": len(fast), **shape}))
    (model.bfloat16() if half else model).save_pretrained(str(folder))
    fast.save_pretrained(str(folder))
