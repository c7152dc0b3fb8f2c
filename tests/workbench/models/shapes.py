"""The shapes in which models of pictures and texts are shared, tiny and of random weights.

Imports torch and transformers where something is made.
"""

import json
import shutil
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.workbench.models import tiny
from workbench.pictures.captions import words

_TOWER = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
}
_OURS = (
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "contract.json",
)


def legacy(whole: Path, folder: Path) -> Path:
    """As clip-ViT-B-32 is shared: an old class, in a folder of its own."""
    shutil.copytree(whole, folder / "0_CLIPModel", ignore=shutil.ignore_patterns(*_OURS))
    module = {
        "idx": 0,
        "name": "0",
        "path": "0_CLIPModel",
        "type": "sentence_transformers.models.CLIPModel",
    }
    (folder / "modules.json").write_text(json.dumps([module]))
    return folder


def multilingual(folder: Path, dimensions: int) -> Path:
    """As clip-ViT-B-32-multilingual-v1 is shared: DistilBERT, the tokens' mean, a projection."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Dense, Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling
    from transformers import DistilBertConfig, DistilBertModel

    torch.manual_seed(5)
    config = DistilBertConfig(
        vocab_size=4 + len(tiny.WORDS),
        dim=32,
        n_layers=2,
        n_heads=2,
        hidden_dim=64,
        max_position_embeddings=64,
    )
    plain = folder.with_name(f"{folder.name}-plain")
    DistilBertModel(config).save_pretrained(plain)
    tiny.tokenizer(plain)
    transformer = Transformer(str(plain))
    dense = Dense(32, dimensions, bias=False, activation_function=torch.nn.Identity())
    made = SentenceTransformer(modules=[transformer, Pooling(32, "mean"), dense], device="cpu")
    made.save(str(folder), create_model_card=False)
    return folder


def _words() -> Any:
    import torch

    from workbench.models.small_clip import _SPECIAL, _tokenizer

    torch.manual_seed(5)
    known = {word: at for at, word in enumerate([*_SPECIAL, *words()])}
    return _tokenizer(known), len(known)


def _saved(model: Any, processor: Any, folder: Path) -> Path:
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def _text(size: int, **more: Any) -> dict[str, Any]:
    return {**_TOWER, "vocab_size": size, "pad_token_id": 0, **more}


def siglip(folder: Path) -> tuple[Path, int]:
    from transformers import SiglipConfig, SiglipImageProcessor, SiglipModel, SiglipProcessor

    tokenizer, size = _words()
    config = SiglipConfig(
        text_config=_text(size, max_position_embeddings=16, projection_size=32),
        vision_config={**_TOWER, "image_size": 32, "patch_size": 8},
    )
    pictures = SiglipImageProcessor(size={"height": 32, "width": 32})
    processor = SiglipProcessor(image_processor=pictures, tokenizer=tokenizer)
    return _saved(SiglipModel(config), processor, folder), 32


def siglip2(folder: Path) -> tuple[Path, int]:
    """Of pictures in their own proportions; its tokenizer is of a class of its own."""
    from transformers import (
        Siglip2Config,
        Siglip2ImageProcessor,
        Siglip2Model,
        Siglip2Processor,
        Siglip2Tokenizer,
    )

    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    known = {sign: at for at, sign in enumerate([*special, "\u2581", *string.ascii_lowercase])}
    tokenizer, size = Siglip2Tokenizer(vocab=known, padding_side="right"), len(known)
    config = Siglip2Config(
        text_config=_text(size, max_position_embeddings=16, projection_size=32),
        vision_config={**_TOWER, "num_patches": 256, "patch_size": 16},
    )
    processor = Siglip2Processor(image_processor=Siglip2ImageProcessor(), tokenizer=tokenizer)
    return _saved(Siglip2Model(config), processor, folder), 32


def chinese_clip(folder: Path) -> tuple[Path, int]:
    """Of a BERT that knows signs."""
    from transformers import (
        BertTokenizer,
        ChineseCLIPConfig,
        ChineseCLIPImageProcessor,
        ChineseCLIPModel,
        ChineseCLIPProcessor,
    )

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    known = {word: at for at, word in enumerate([*special, *words(), *"红蓝圆环星"])}
    tokenizer, size = BertTokenizer(vocab=known), len(known)
    config = ChineseCLIPConfig(
        text_config=_text(size, max_position_embeddings=32),
        vision_config={**_TOWER, "image_size": 32, "patch_size": 8},
        projection_dim=24,
    )
    square = {"height": 32, "width": 32}
    pictures = ChineseCLIPImageProcessor(size=square, crop_size=square)
    processor = ChineseCLIPProcessor(image_processor=pictures, tokenizer=tokenizer)
    return _saved(ChineseCLIPModel(config), processor, folder), 24


def metaclip2(folder: Path) -> tuple[Path, int]:
    from transformers import CLIPImageProcessor, CLIPProcessor, MetaClip2Config, MetaClip2Model

    tokenizer, size = _words()
    config = MetaClip2Config(
        text_config=_text(size, max_position_embeddings=32, bos_token_id=1, eos_token_id=2),
        vision_config={**_TOWER, "image_size": 32, "patch_size": 8},
        projection_dim=24,
    )
    pictures = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    processor = CLIPProcessor(image_processor=pictures, tokenizer=tokenizer)
    return _saved(MetaClip2Model(config), processor, folder), 24


SHAPES: dict[str, Callable[[Path], tuple[Path, int]]] = {
    "siglip": siglip,
    "siglip2": siglip2,
    "chinese-clip": chinese_clip,
    "metaclip-2": metaclip2,
}
