"""CLIP-like models in the layouts they are shared in: recognised, loaded, used alike."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.workbench.models.fakes import located
from tests.workbench.pictures.fakes import animated, noise, turned
from workbench.errors import ModelUnusable, PictureUnusable
from workbench.models.image_text import Pixels
from workbench.models.inspect import inspect_folder
from workbench.models.load import load_embedding, load_model
from workbench.pictures.captions import words

# Models are made and loaded: a second each.
pytestmark = pytest.mark.slow

TEXTS = ["two large red stars", "a small blue ring in the middle", "unknown"]
OURS = ("modules.json", "sentence_bert_config.json", "config_sentence_transformers.json")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from workbench.models.small_clip import make_small_clip

    folder = tmp_path_factory.mktemp("clip") / "whole"
    make_small_clip(folder, words(), 48, 3)
    return folder


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("seen")
    found = []
    for name, data in (("a.png", noise(1)), ("b.jpg", turned()), ("c.gif", animated())):
        (folder / name).write_bytes(data)
        found.append(folder / name)
    return found


def load(folder: Path) -> Any:
    return load_model(located(folder), device="cpu", precision="fp32")


def plain(whole: Path, folder: Path) -> Path:
    """As transformers saves it."""
    shutil.copytree(whole, folder, ignore=shutil.ignore_patterns(*OURS, "contract.json"))
    return folder


def legacy(whole: Path, folder: Path) -> Path:
    """As clip-ViT-B-32 is shared: an old class, in a folder of its own."""
    plain(whole, folder / "0_CLIPModel")
    modules = [
        {
            "idx": 0,
            "name": "0",
            "path": "0_CLIPModel",
            "type": "sentence_transformers.models.CLIPModel",
        }
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    return folder


def test_every_layout_gives_the_same_vectors(
    whole: Path, paths: list[Path], tmp_path: Path
) -> None:
    first = load(whole)
    contract = first.contract
    assert (contract.kind, contract.dimensions, contract.query_max_len) == ("image-text", 64, 32)
    texts, pictures = first.encode(TEXTS), first.encode_pictures(paths)
    assert texts.dtype == pictures.dtype == np.float32 and texts.shape == pictures.shape == (3, 64)
    assert np.allclose(np.linalg.norm(np.concatenate([texts, pictures]), axis=1), 1, atol=1e-5)
    for folder in (plain(whole, tmp_path / "plain"), legacy(whole, tmp_path / "legacy")):
        other = load(folder)
        assert other.contract.kind == "image-text" and other.contract.dimensions == 64
        assert np.allclose(other.encode(TEXTS), texts, atol=1e-5)
        assert np.allclose(other.encode_pictures(paths), pictures, atol=1e-5)


def test_batches_order_and_memory_change_nothing(whole: Path, paths: list[Path]) -> None:
    model = load(whole)
    pictures = model.encode_pictures(paths)
    seen: list[tuple[int, int]] = []
    again = model.encode_pictures(
        paths, batch_size=2, progress=lambda *now: seen.append(now), stop=lambda: None
    )
    assert np.allclose(again, pictures, atol=1e-5) and seen == [(2, 3), (3, 3)]
    kept = Pixels(1 << 20)
    model = type(model)(model.model, model.contract, "cpu", "fp32", kept)
    for order in ([0, 1, 2], [2, 0], [1, 1]):
        found = model.encode_pictures([paths[at] for at in order])
        assert np.allclose(found, pictures[order], atol=1e-5)
    opened = [Image.open(paths[0]).convert("RGB")]
    assert np.allclose(model.encode_pictures(opened), pictures[:1], atol=1e-5)


def test_what_cannot_be_seen_is_said(whole: Path, paths: list[Path], tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"none")
    with pytest.raises(PictureUnusable):
        load(whole).encode_pictures([paths[0], bad])
    folder = plain(whole, tmp_path / "blind")
    (folder / "processor_config.json").unlink()
    with pytest.raises(ModelUnusable, match="how pictures are prepared"):
        inspect_folder(folder)
    with pytest.raises(ModelUnusable, match="not an embedding model"):
        load_embedding(located(whole), device="cpu")


def test_siglip_texts_are_filled_up_as_it_was_trained(whole: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoTokenizer, SiglipConfig, SiglipImageProcessor, SiglipModel

    shape = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    tokenizer = AutoTokenizer.from_pretrained(str(whole))
    torch.manual_seed(0)
    config = SiglipConfig(
        text_config={
            **shape,
            "vocab_size": len(tokenizer),
            "max_position_embeddings": 16,
            "projection_size": 32,
            "pad_token_id": 0,
        },
        vision_config={**shape, "image_size": 32, "patch_size": 8},
    )
    folder = tmp_path / "siglip"
    SiglipModel(config).save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))
    SiglipImageProcessor(size={"height": 32, "width": 32}).save_pretrained(str(folder))
    from transformers import SiglipProcessor

    SiglipProcessor(
        image_processor=SiglipImageProcessor(size={"height": 32, "width": 32}),
        tokenizer=tokenizer,
    ).save_pretrained(str(folder))
    model = load(folder)
    assert model.contract.kind == "image-text" and model.contract.query_max_len == 16
    assert model.texts(["two red stars"])["input_ids"].shape == (1, 16)
    alone, among = model.encode(TEXTS[:1]), model.encode(TEXTS)
    assert alone.shape == (1, 32) and np.allclose(alone, among[:1], atol=1e-5)
    assert model.encode_pictures([Image.new("RGB", (40, 40), "red")]).shape == (1, 32)
