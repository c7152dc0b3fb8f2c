"""Every method of every kind, written by one process and read back by another."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import warm
from tests.workbench.models.fakes import located
from tests.workbench.models.shapes import siglip2
from tests.workbench.training.fakes import (
    save_decoder,
    save_late,
    save_tiny_model,
)
from workbench.pictures.captions import draw, scenes, words

# Real conversions of tiny models, and one more process that imports the libraries: half a minute.
pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
TEXTS = ["what is a cat", "a dog", "here is bird today and the cat", ""]
PICTURES = scenes(3, 1)
GRAPHS = ("onnx", "onnx-int8")
KEPT = ("bf16", "fp16", "int8", "nf4", "fp4")
CELLS = {
    "bert": (*KEPT, *GRAPHS),
    "qwen2": (*KEPT, *GRAPHS),
    "qwen2-lm": KEPT,
    "m3": (*KEPT, *GRAPHS),
    "cross": (*KEPT, *GRAPHS),
    "clip": KEPT,
    "siglip2": KEPT,
}
#: The least agreement with the original: these are random weights a few numbers wide.
LEAST = {"bf16": 0.99, "fp16": 0.999, "int8": 0.97, "nf4": 0.6, "fp4": 0.6, "onnx": 0.99999,
         "onnx-int8": 0.95}  # fmt: skip
READ = """
import json, sys, warnings
warnings.simplefilter("ignore")
from tests.workbench.quantization.test_round_trip import values_of
found = {path: values_of(path) for path in json.load(sys.stdin)}
print(json.dumps(found))
"""


def values_of(folder: str, contract: Any = None) -> list[float]:
    """What the model in a folder makes of the texts, by its own contract."""
    from workbench.models.load import load_model

    loaded: Any = load_model(located(Path(folder), contract), device="cpu", precision="fp32")
    if loaded.contract.kind == "reranker":
        pairs = np.array([[0, 1], [0, 2], [1, 2], [2, 0]])
        return loaded.score(TEXTS, TEXTS, pairs).tolist()
    found = [*loaded.encode(TEXTS, "query"), *loaded.encode(TEXTS, "document")]
    if loaded.contract.kind == "image-text":
        found += [*loaded.encode_pictures([draw(one, 48, at) for at, one in enumerate(PICTURES)])]
    return np.concatenate([one.ravel() for one in found]).tolist()


def contracts() -> dict[str, Any]:
    from workbench.models.contract import Contract

    return {
        "qwen2-lm": Contract(
            kind="reranker", architecture="llm", yes_token="yes", no_token="no",
            query_max_len=16, passage_max_len=32,
        ),
        "cross": Contract(
            kind="reranker", architecture="cross-encoder", query_max_len=16, passage_max_len=32
        ),
    }  # fmt: skip


def bases(folder: Path) -> dict[str, Path]:
    return {
        "bert": save_tiny_model(folder / "bert"),
        "qwen2": save_decoder(folder / "qwen2", "qwen2"),
        "qwen2-lm": save_decoder(folder / "qwen2-lm", "qwen2", answers=True),
        "m3": save_late(folder / "m3", layout="m3"),
        "cross": save_cross(folder / "cross"),
        "clip": save_clip(folder / "clip"),
        "siglip2": siglip2(folder / "siglip2")[0],
    }


def save_clip(folder: Path) -> Path:
    from workbench.models.small_clip import make_small_clip

    make_small_clip(folder, words(), 48, 3)
    return folder


def save_cross(folder: Path) -> Path:
    """A cross-encoder: a tiny BERT with a head for one score."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    plain = save_tiny_model(folder.parent / "plain")
    torch.manual_seed(3)
    config = BertConfig.from_pretrained(plain, num_labels=1)
    BertForSequenceClassification(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(plain).save_pretrained(folder)
    return folder


def test_every_method_is_read_back_by_another_process(tmp_path: Path) -> None:
    from workbench.models.inspect import inspect_folder
    from workbench.quantization.quantize import convert

    made, before = {}, {}
    for base, folder in bases(tmp_path / "bases").items():
        contract = contracts().get(base) or inspect_folder(folder).contract
        before[base] = values_of(str(folder), contract)
        for method in CELLS[base]:
            target = tmp_path / f"{base}-{method}"
            target.mkdir()
            written = convert(located(folder, contract), method, target, device="cpu")
            assert written.weights == method and written.kind == contract.kind
            assert list(target.rglob("*.onnx")) == (
                [target / "onnx/model.onnx"] if method in GRAPHS else []
            )
            assert bool(list(target.glob("model*.safetensors"))) == (method not in GRAPHS)
            made[str(target)] = (base, method)
    done = warm.run([sys.executable, "-c", READ], input=json.dumps(list(made)), cwd=ROOT)
    assert done.returncode == 0, done.stderr[-3000:]
    read = json.loads(done.stdout.splitlines()[-1])
    agreed = {made[path]: agreement(before[made[path][0]], read[path]) for path in made}
    assert {one: value for one, value in agreed.items() if value < LEAST[one[1]]} == {}


def agreement(first: list[float], second: list[float]) -> float:
    one, other = np.array(first), np.array(second)
    return float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))
