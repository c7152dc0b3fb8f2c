"""A CLIP of random weights, small enough to learn some thousand pictures on a CPU in a minute.

It knows the words it is given and nothing else. Imports torch: worker processes only.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor
from transformers.utils import logging

from workbench.models.contract import Contract
from workbench.models.image_text import whole_model
from workbench.models.inspect import inspect_folder

#: Chosen on two cores: 64 wide and two layers deep it learns 3,000 pictures in 40 seconds.
WIDTH, LAYERS, HEADS = 64, 2, 2
_PATCH = 8
_TOKENS = 32
_SPECIAL = ("<pad>", "<start>", "<end>", "<unknown>")


def make_small_clip(folder: Path, words: Sequence[str], size: int, seed: int) -> Contract:
    """Write the model into ``folder`` as sentence-transformers saves one; returns its contract.

    ``words`` are those its tokenizer knows, ``size`` the pictures' width and height in pixels (the
    next multiple of 8).
    """
    size = -(-size // _PATCH) * _PATCH  # whole patches
    vocabulary = {word: at for at, word in enumerate([*_SPECIAL, *words])}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        clip = CLIPModel(_config(len(vocabulary), size))
    folder.mkdir(parents=True, exist_ok=True)
    said = logging.get_verbosity()
    # It tells of torchvision, which is not needed.
    logging.set_verbosity_error()
    try:
        clip.save_pretrained(str(folder))
        _processor(vocabulary, size).save_pretrained(str(folder))
    finally:
        logging.set_verbosity(said)
    model: SentenceTransformer = whole_model(folder, "cpu", local_files_only=True)
    model.save_pretrained(str(folder), create_model_card=False)
    contract = inspect_folder(folder).contract
    contract.write(folder)
    return contract


def _config(words: int, size: int) -> CLIPConfig:
    tower = {
        "hidden_size": WIDTH,
        "intermediate_size": 2 * WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
    }
    pad, start, end = range(3)
    text: dict[str, Any] = {
        **tower,
        "vocab_size": words,
        "max_position_embeddings": _TOKENS,
        "pad_token_id": pad,
        "bos_token_id": start,
        "eos_token_id": end,
    }
    vision: dict[str, Any] = {**tower, "image_size": size, "patch_size": _PATCH}
    return CLIPConfig(text_config=text, vision_config=vision, projection_dim=WIDTH)


def _processor(vocabulary: dict[str, int], size: int) -> CLIPProcessor:
    pictures = CLIPImageProcessor(
        size={"shortest_edge": size}, crop_size={"height": size, "width": size}
    )
    return CLIPProcessor(image_processor=pictures, tokenizer=_tokenizer(vocabulary))


def _tokenizer(vocabulary: dict[str, int]) -> Any:
    """One token a word."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    pad, start, end, unknown = _SPECIAL
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=unknown))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{start} $A {end}",
        special_tokens=[(start, vocabulary[start]), (end, vocabulary[end])],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=pad,
        bos_token=start,
        eos_token=end,
        unk_token=unknown,
        model_max_length=_TOKENS,
    )
