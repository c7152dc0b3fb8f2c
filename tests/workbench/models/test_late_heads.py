"""A trained projection to a vector per token is used, in each layout that it is published in."""

from pathlib import Path
from typing import Any

import pytest

from tests.workbench.training.fakes import save_late
from workbench.models.assemble import holds_projection
from workbench.models.inspect import inspect_folder
from workbench.models.jobs import rules_for
from workbench.models.load import load_model
from workbench.models.locate import locate_folder
from workbench.recipes.base import ContractRecipe


@pytest.mark.parametrize(
    ("layout", "files"),
    [("m3", "sentence-transformers"), ("m3-plain", "transformers"), ("stanford", "transformers")],
)
def test_its_own_projection_is_loaded(
    layout: str, files: str, workspace: Any, tmp_path: Path
) -> None:
    import torch
    from safetensors.torch import load_file

    folder = save_late(tmp_path / "made", layout=layout)
    assert inspect_folder(folder).layout == files
    local = locate_folder(workspace, folder)
    assert holds_projection(local.folder)
    # As somebody would add it: bge-m3's files say embedding model, and hold the head.
    contract = rules_for(local).apply(ContractRecipe(kind="late-interaction"))
    loaded = load_model(local, device="cpu", contract=contract)
    assert loaded.contract.dimensions == 16
    if layout == "stanford":
        wanted = load_file(folder / "model.safetensors")["linear.weight"]
    else:
        wanted = torch.load(folder / "colbert_linear.pt", weights_only=True)["weight"]
    assert torch.equal(loaded.model[1].linear.weight.detach(), wanted)
