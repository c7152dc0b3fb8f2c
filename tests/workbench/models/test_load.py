"""Loading and encoding with real (tiny) models."""

import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.workbench.models import tiny
from tests.workbench.models.fakes import FakeWorkspace
from workbench.errors import JobCancelled, ModelUnusable
from workbench.models.contract import Contract
from workbench.models.locate import locate

# Importing sentence-transformers takes 6 to 11 seconds.
pytestmark = pytest.mark.slow

TEXTS = ["the quick brown fox", "a lazy dog sat on the mat", "the cat", "fox " * 100, ""]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.bert(tmp_path_factory.mktemp("bert") / "tiny")


def load(workspace: Any, folder: Path, **options: Any) -> Any:
    from workbench.models.load import load_embedding

    return load_embedding(locate(workspace, str(folder)), **({"precision": "fp32"} | options))


def test_encoding_agrees_with_sentence_transformers(workspace: Any, checkpoint: Path) -> None:
    from sentence_transformers import SentenceTransformer

    ours = load(workspace, checkpoint).encode(TEXTS, "document", batch_size=2)
    theirs = SentenceTransformer(str(checkpoint)).encode(TEXTS, normalize_embeddings=True)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, atol=1e-6)
    assert abs(float(ours[0] @ ours[1])) < 0.9999, "texts must not all look alike"


def test_roles_have_their_own_prompt_and_length(workspace: Any, checkpoint: Path) -> None:
    loaded = load(workspace, checkpoint)
    contract = loaded.contract.model_copy(
        update={"query_prompt": "the fox ", "query_max_len": 4, "passage_max_len": 8}
    )
    used = loaded.with_contract(contract)
    query = used.encode(["cat sat on the mat"], "query")
    # Four tokens: [CLS] the fox [SEP].
    np.testing.assert_allclose(query, loaded.encode(["the fox"], "query"), atol=1e-6)
    document = used.encode(["a cat sat on the mat for it"], "document")
    np.testing.assert_allclose(
        document, loaded.encode(["a cat sat on the mat"], "document"), atol=1e-6
    )


def test_a_length_beyond_the_models_is_cut_to_it(workspace: Any, checkpoint: Path) -> None:
    loaded = load(workspace, checkpoint)
    long = loaded.with_contract(loaded.contract.model_copy(update={"passage_max_len": 8192}))
    np.testing.assert_allclose(
        long.encode(["fox " * 500], "document"), long.encode(["fox " * 62], "document"), atol=1e-6
    )


def test_normalization_follows_the_contract(workspace: Any, tmp_path: Path) -> None:
    folder = tiny.bert(tmp_path / "plain")
    Contract(normalize=False, query_max_len=64, passage_max_len=64).write(folder)
    lengths = np.linalg.norm(load(workspace, folder).encode(TEXTS, "query"), axis=1)
    assert (np.abs(lengths - 1) > 0.01).all()


def test_progress_is_told_and_stopping_works(workspace: Any, checkpoint: Path) -> None:
    loaded = load(workspace, checkpoint)
    told: list[tuple[int, int]] = []
    loaded.encode(TEXTS, "query", batch_size=2, progress=lambda *done: told.append(done))
    assert told == [(2, 5), (4, 5), (5, 5)]

    def stop() -> None:
        raise JobCancelled("stopped")

    loaded.model.train()
    with pytest.raises(JobCancelled):
        loaded.encode(TEXTS, "query", stop=stop)
    assert loaded.model.training, "the training mode is left as it was"
    assert loaded.encode([], "query").shape == (0, 32)


def test_bf16_is_near_fp32_and_weights_stay_fp32(workspace: Any, tmp_path: Path) -> None:
    import torch

    folder = tiny.bert(tmp_path / "half", dtype="bfloat16")
    loaded = load(workspace, folder, precision="bf16")
    assert {weight.dtype for weight in loaded.model.parameters()} == {torch.float32}
    exact = load(workspace, folder, precision="fp32").encode(TEXTS, "query")
    near = loaded.encode(TEXTS, "query")
    assert ((near * exact).sum(axis=1) > 0.99).all()
    assert not np.array_equal(near, exact)


def test_pickled_weights_are_converted_once_and_give_the_same(
    workspace: Any, checkpoint: Path, tmp_path: Path
) -> None:
    folder = tiny.pickled(Path(shutil.copytree(checkpoint, tmp_path / "pickled")))
    np.testing.assert_allclose(
        load(workspace, folder).encode(TEXTS, "query"),
        load(workspace, checkpoint).encode(TEXTS, "query"),
        atol=1e-6,
    )
    assert (folder / "pytorch_model.bin").is_file(), "a folder that is not ours is left as it is"
    converted = list(workspace.path("cache/converted").iterdir())
    before = (converted[0] / "model.safetensors").stat().st_mtime_ns
    load(workspace, folder)
    assert list(workspace.path("cache/converted").iterdir()) == converted
    assert (converted[0] / "model.safetensors").stat().st_mtime_ns == before


def test_sharded_pickles_are_converted(workspace: Any, checkpoint: Path, tmp_path: Path) -> None:
    import json

    import torch
    from safetensors.torch import load_file

    folder = Path(shutil.copytree(checkpoint, tmp_path / "sharded"))
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = ["pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"]
    keys = sorted(weights)
    parts = [keys[::2], keys[1::2]]
    for name, part in zip(names, parts, strict=True):
        torch.save({key: weights[key] for key in part}, folder / name)
    weight_map = {key: name for name, part in zip(names, parts, strict=True) for key in part}
    index = json.dumps({"metadata": {}, "weight_map": weight_map})
    (folder / "pytorch_model.bin.index.json").write_text(index)
    np.testing.assert_allclose(
        load(workspace, folder).encode(TEXTS, "query"),
        load(workspace, checkpoint).encode(TEXTS, "query"),
        atol=1e-6,
    )


class Trap:
    """Unpickled carelessly, this creates a folder."""

    def __init__(self, where: Path) -> None:
        self.where = where

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.where),)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt"])
def test_a_pickle_that_would_run_code_is_refused(
    workspace: Any, checkpoint: Path, tmp_path: Path, name: str
) -> None:
    sprung = tmp_path / "sprung"
    folder = Path(shutil.copytree(checkpoint, tmp_path / "trap"))
    (folder / "model.safetensors").unlink()
    with (folder / name).open("wb") as file:
        pickle.dump({"weight": Trap(sprung)}, file)
    with pytest.raises(ModelUnusable, match="were refused"):
        load(workspace, folder)
    assert not sprung.exists()
    assert list(workspace.path("cache").rglob("*.partial")) == []
    pickle.loads((folder / name).read_bytes())
    assert sprung.exists(), "the trap is a real one"


def test_an_adapter_loads_as_peft_would(workspace: Any, checkpoint: Path, tmp_path: Path) -> None:
    import torch
    from peft import LoraConfig, PeftModel, get_peft_model
    from sentence_transformers import SentenceTransformer

    base = SentenceTransformer(str(checkpoint))
    config = LoraConfig(r=4, target_modules=["query", "value"], init_lora_weights=False)
    adapted = get_peft_model(base[0].model, config)
    adapted.save_pretrained(tmp_path / "lora")
    torch.manual_seed(1)

    plain = SentenceTransformer(str(checkpoint))
    plain[0].model = PeftModel.from_pretrained(plain[0].model, str(tmp_path / "lora"))
    outside = plain.encode(TEXTS, normalize_embeddings=True)
    ours = load(workspace, tmp_path / "lora").encode(TEXTS, "query")
    np.testing.assert_allclose(ours, outside, atol=1e-5)
    unadapted = load(workspace, checkpoint).encode(TEXTS, "query")
    assert np.abs(ours - unadapted).max() > 1e-3


def test_a_decoder_is_read_to_its_last_token(workspace: Any, tmp_path: Path) -> None:
    import torch
    from transformers import Qwen2Config, Qwen2Model

    torch.manual_seed(0)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    vocabulary = 4 + len(tiny.WORDS)
    Qwen2Model(
        Qwen2Config(vocab_size=vocabulary, intermediate_size=64, num_key_value_heads=2, **shape)
    ).save_pretrained(tmp_path / "decoder")
    tiny.tokenizer(tmp_path / "decoder")
    loaded = load(workspace, tmp_path / "decoder")
    assert loaded.contract.pooling == "lasttoken"
    # In a batch with a longer text, padding must not be taken for the last token.
    together = loaded.encode(["the fox", "the fox jumps over the lazy dog"], "query")
    np.testing.assert_allclose(together[:1], loaded.encode(["the fox"], "query"), atol=1e-5)


def test_code_of_the_models_own_is_not_run(workspace: Any, tmp_path: Path) -> None:
    folder = tiny.bert(tmp_path / "custom")
    config = (folder / "config.json").read_text()
    auto_map = '{"auto_map": {"AutoConfig": "own.C", "AutoModel": "own.M"}, '
    config = config.replace("{", auto_map, 1).replace('"model_type": "bert"', '"model_type": "own"')
    (folder / "config.json").write_text(config)
    (folder / "own.py").write_text(f"open({str(tmp_path / 'sprung')!r}, 'w')\n")
    with pytest.raises(ModelUnusable, match="comes with its own code") as failure:
        load(workspace, folder)
    assert "--trust-remote-code" in failure.value.hint
    assert not (tmp_path / "sprung").exists()


def test_damaged_weights_are_a_sentence(workspace: Any, checkpoint: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(checkpoint, tmp_path / "damaged"))
    (folder / "model.safetensors").write_bytes(b"\0" * 50)
    with pytest.raises(ModelUnusable, match="could not be loaded"):
        load(workspace, folder)


def test_a_missing_gpu_is_a_sentence(workspace: FakeWorkspace, checkpoint: Path) -> None:
    import torch

    from workbench.errors import BadInput

    if torch.cuda.is_available():
        assert load(workspace, checkpoint, device="cuda").device == "cuda"
        return
    with pytest.raises(BadInput, match="no usable GPU"):
        load(workspace, checkpoint, device="cuda")
