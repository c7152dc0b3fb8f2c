"""A training objective added from outside: trained with, offered in forms, taken into a script."""

import json
from pathlib import Path

import pytest

from tests.extending.outside import Run
from tests.workbench.training.fakes import save_tiny_model
from workbench.workspace import Workspace

DESCRIBED = """
from ui.kit.form import choice_label, help_of
from workbench.recipes.describe import describe
from workbench.recipes.train import TrainEmbeddingRecipe
from workbench.recipes.train_kinds import TrainRerankerRecipe

(spec,) = [one for one in describe(TrainEmbeddingRecipe) if one.name == "objective"]
print(spec.choices[-1], choice_label(spec, "hinge"), help_of(spec, "hinge"))
(spec,) = [one for one in describe(TrainRerankerRecipe) if one.name == "objective"]
print("hinge" in spec.choices)
"""
SCRIPT = """
import torch
from workbench.models.contract import Contract
from workbench.recipes.train import TrainEmbeddingRecipe
from workbench.takeaway.losses import loss_of

loss = loss_of(TrainEmbeddingRecipe(dataset="words", objective="hinge"), Contract(), None)
space = {"torch": torch, "model": torch.nn.Identity(), **loss.constants}
exec("\\n".join([*loss.imports, loss.code]), space)
made = eval(loss.make, space)
vectors = [torch.tensor([[1.0, 0.0]]), torch.tensor([[0.6, 0.8]]), torch.tensor([[0.8, 0.6]])]
print(round(made.compare(vectors).item(), 4))
"""


@pytest.mark.slow  # A tiny model is trained.
def test_a_model_is_trained_with_it(extended: Run, tmp_path: Path) -> None:
    rows = [
        {"query": f"cat {n}", "pos": [f"here is cat {n}"], "neg": [f"here is dog {n}"]}
        for n in range(40)
    ]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    extended("hinge", "data", "add", str(file), "--name", "words")
    base = save_tiny_model(tmp_path / "tiny")
    words = ("--model", str(base), "--name", "hinged", "--max-steps", "2", "--batch-size", "8")
    extended("hinge", "train", "--dataset", "words", "--objective", "hinge", *words)
    workspace = Workspace.open(extended.home)
    model = workspace.models.get("hinged")
    assert model.job_id is not None
    rows_ = workspace.jobs.metrics(model.job_id)
    losses = [row.values["loss"] for row in rows_ if row.kind == "train" and "loss" in row.values]
    assert losses and all(0 < loss < 2.5 for loss in losses)
    workspace.close()


def test_forms_offer_it_with_its_words(extended: Run) -> None:
    offered, other = extended.python("hinge", DESCRIBED).splitlines()
    assert offered == "hinge Hinge For triplets: only errors count."
    assert other == "False"


@pytest.mark.slow  # torch is imported.
def test_a_script_has_its_loss(extended: Run) -> None:
    # 0.5 + 0.8 - 0.6
    assert extended.python("hinge", SCRIPT).strip() == "0.7"
