"""The loss that a script makes is the run's: the same number and gradient, for every objective."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.workbench.training.fakes import save_tiny_model
from tests.workbench.training.test_loss import (
    OBJECTIVES,
    columns,
    labels,
    loss_of,
    plain,
    read,
    recipe,
)
from workbench.models.contract import Contract
from workbench.takeaway.losses import GuideAs, Loss
from workbench.takeaway.losses import loss_of as written

# torch and a tiny model.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("base") / "tiny")


def made(loss: Loss, model: Any, base: Path) -> Any:
    """As the script has it, without anything of the workbench."""
    space: dict[str, Any] = {"torch": torch, "model": model, "load_model": lambda: plain(base)}
    space |= loss.constants
    exec("\n".join([*loss.imports, loss.code]), space)
    assert "workbench" not in loss.code
    return eval(loss.make, space)


CHANGES: list[dict[str, Any]] = [
    *({"objective": name} for name in OBJECTIVES),
    {"objective": "contrastive", "in_batch_negatives": False},
    {"objective": "contrastive", "symmetric": True, "temperature": 0.1},
    {"objective": "cached-contrastive", "matryoshka_dims": "16, 8"},
    {"objective": "gist", "guide_margin": 0.1},
]


@pytest.mark.parametrize("normalize", [True, False], ids=["cosine", "dot"])
@pytest.mark.parametrize("changes", CHANGES, ids=lambda one: "-".join(map(str, one.values())))
def test_embedding(changes: dict[str, Any], normalize: bool, base: Path) -> None:
    objective = changes["objective"]
    wanted = recipe(**changes)
    contract = Contract(normalize=normalize, dimensions=32)
    guide = GuideAs("", contract) if "gist" in objective else None
    found = []
    for script in (False, True):
        model = plain(base)
        loss = (
            made(written(wanted, contract, guide), model, base)
            if script
            else loss_of(model, contract, wanted, base)
        )
        features = read(model, columns(objective))
        value = loss(features, labels(objective))
        value.backward()
        gradient = model[0].model.embeddings.word_embeddings.weight.grad
        found.append((value.item(), gradient.clone()))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-6)
    assert torch.equal(found[0][1], found[1][1])


def test_late_interaction(base: Path) -> None:
    from sentence_transformers import MultiVectorEncoder

    from workbench.recipes.train_kinds import TrainLateInteractionRecipe
    from workbench.training.objectives import TokenContrast

    wanted = TrainLateInteractionRecipe(dataset="pets", temperature=0.5)
    torch.manual_seed(0)
    model = MultiVectorEncoder(str(base), device="cpu").eval()
    losses = [
        TokenContrast(model, scale=2.0),
        made(written(wanted, Contract(kind="late-interaction"), None), model, base),
    ]
    asked, given = read(model, columns("contrastive"))
    values = [loss([{**asked, "task": "query"}, {**given, "task": "document"}]) for loss in losses]
    assert values[0].item() == values[1].item()
