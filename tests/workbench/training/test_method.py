"""In which format weights are kept while some of them are trained."""

import weakref
from pathlib import Path
from typing import Any

import pytest

from tests.workbench.training.fakes import (
    FakeContext,
    FakeReader,
    FakeWorkspace,
    animal_splits,
    save_decoder,
    save_late,
    save_tiny_model,
)
from workbench.models.contract import Contract
from workbench.recipes.train import TrainEmbeddingRecipe
from workbench.recipes.train_kinds import TrainLateInteractionRecipe

# Importing torch and sentence-transformers takes 6 to 11 s; each run after that one or two.
pytestmark = pytest.mark.slow

SETTINGS: dict[str, Any] = {
    "dataset": "pets",
    "name": "mine",
    "learning_rate": 1e-3,
    "batch_size": 16,
    "max_steps": 3,
    "eval_steps": 3,
    "device": "cpu",
}


def start(home: Path) -> FakeContext:
    return FakeContext(FakeWorkspace(home, FakeReader(animal_splits())), home / "job")


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize(
    "values",
    [{}, {"method": "lora"}, {"method": "qlora"}, {"method": "qlora", "quantization_bits": "8"}],
    ids=lambda values: "-".join(map(str, values.values())) or "full",
)
def test_a_contract_says_how_weights_were_kept(values: dict[str, Any], precision: str) -> None:
    from workbench.models.assemble import keeping_of
    from workbench.training.loss import adapted_contract, keeping_for

    recipe = TrainEmbeddingRecipe(dataset="pets", **values)
    trained = keeping_for(recipe, precision)
    halved = bool(values) and precision == "bf16"
    assert str(trained.dtype) == ("torch.bfloat16" if halved else "torch.float32")
    assert trained.compute_dtype == trained.dtype or not trained.quantization
    used = keeping_of(adapted_contract(Contract(), recipe, precision), precision)
    assert (used.dtype, used.quantization) == (trained.dtype, trained.quantization)
    assert used.double_quantization == trained.double_quantization
    assert used.compute_dtype == trained.compute_dtype or not trained.quantization


@pytest.mark.parametrize(
    ("values", "precision", "compute"),
    [
        ({}, "fp32", "torch.float32"),
        ({}, "bf16", "torch.bfloat16"),
        ({"compute_dtype": "bf16"}, "fp32", "torch.bfloat16"),
        ({"compute_dtype": "fp16"}, "fp16", "torch.float16"),
        ({"compute_dtype": "fp32"}, "bf16", "torch.float32"),
    ],
)
def test_4_bit_weights_are_multiplied_as_asked_now_and_later(
    values: dict[str, Any], precision: str, compute: str
) -> None:
    from workbench.models.assemble import keeping_of
    from workbench.training.loss import adapted_contract, keeping_for

    recipe = TrainEmbeddingRecipe(dataset="d", method="qlora", **values)
    kept = keeping_for(recipe, precision)
    assert str(kept.compute_dtype) == compute
    contract = adapted_contract(Contract(), recipe, precision)
    assert keeping_of(contract, precision) == kept
    # Read otherwise, what was asked for stays.
    if values:
        assert str(keeping_of(contract, "fp32").compute_dtype) == compute


def test_what_an_old_qlora_run_left_in_fp32_stays_there() -> None:
    import torch

    from workbench.models.assemble import WeightFormat, keeping_of

    old = Contract(quantization="nf4", dtype="float32")
    assert keeping_of(old, "bf16") == WeightFormat(torch.float32, "nf4", False, torch.bfloat16)


@pytest.mark.parametrize("layout", ["fresh", "stanford", "m3"])
def test_a_projection_over_bf16_is_trained_and_kept_in_fp32(layout: str, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    from workbench.models.load import load_model
    from workbench.models.locate import locate_folder
    from workbench.training.task import run

    folder = tmp_path / "base"
    base = save_tiny_model(folder) if layout == "fresh" else save_late(folder, layout=layout)
    more = {"method": "lora", "precision": "bf16", "first_stage": "bm25", "candidates": 5}
    context = start(tmp_path / "home")
    run(TrainLateInteractionRecipe(model=str(base), **more, **SETTINGS), context)
    saved = context.workspace.home / context.workspace.models.added[0].path
    weights = load_file(saved / "1_Dense" / "model.safetensors")["linear.weight"]
    assert weights.dtype == torch.float32
    # Trained in bf16, the numbers would be bf16's own.
    assert not torch.equal(weights, weights.bfloat16().float())
    loaded = load_model(locate_folder(context.workspace, saved), device="cpu")
    assert torch.equal(loaded.model[1].linear.weight, weights)
    assert next(loaded.model[0].model.parameters()).dtype == torch.bfloat16


def test_the_trained_model_is_gone_when_the_best_is_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workbench.training.run import Run
    from workbench.training.task import run

    plain, loaded, alive = Run.load, [], []

    def load(self: Run, *args: Any, **options: Any) -> Any:
        alive.append([one() is not None for one in loaded])
        found = plain(self, *args, **options)
        loaded.append(weakref.ref(found.model))
        return found

    monkeypatch.setattr(Run, "load", load)
    base = save_tiny_model(tmp_path / "base")
    recipe = TrainEmbeddingRecipe(model=str(base), precision="fp32", **SETTINGS)
    run(recipe, start(tmp_path / "home"))
    assert alive == [[], [False]]


@pytest.mark.parametrize("frozen", [False, True])
def test_word_embeddings_stay_where_they_shall(frozen: bool, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    from workbench.training.task import run

    base = save_tiny_model(tmp_path / "base")
    recipe = TrainEmbeddingRecipe(model=str(base), freeze_word_embeddings=frozen, **SETTINGS)
    context = start(tmp_path / "home")
    run(recipe, context)
    saved = context.workspace.home / context.workspace.models.added[0].path
    before, after = (load_file(folder / "model.safetensors") for folder in (base, saved))
    same = {name for name in before if torch.equal(before[name], after[name])}
    assert ("embeddings.word_embeddings.weight" in same) is frozen
    assert "embeddings.position_embeddings.weight" not in same


@pytest.mark.parametrize("family", ["bert", "qwen2"])
def test_dropout_is_set_in_layers_and_functions_and_saved_as_it_was(
    family: str, tmp_path: Path
) -> None:
    import torch
    from sentence_transformers import SentenceTransformer

    from workbench.training.loss import set_dropout

    folder = tmp_path / "base"
    base = save_tiny_model(folder) if family == "bert" else save_decoder(folder, family)
    model = SentenceTransformer(str(base), device="cpu").train()
    set_dropout(model, 0.3)
    texts = model.preprocess(["which cat red"])
    drawn = [model(dict(texts))["sentence_embedding"] for _ in range(2)]
    assert not torch.equal(*drawn)
    set_dropout(model, 0.0)
    drawn = [model(dict(texts))["sentence_embedding"] for _ in range(2)]
    assert torch.equal(*drawn)
    model.save_pretrained(str(tmp_path / "saved"))
    name = "attention_probs_dropout_prob" if family == "bert" else "attention_dropout"
    read = SentenceTransformer(str(tmp_path / "saved"), device="cpu")[0].config
    assert getattr(read, name) == (0.1 if family == "bert" else 0.0)
