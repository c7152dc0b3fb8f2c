"""How much each method may lose on the sample, by the lab's own verdict, with the real model."""

from pathlib import Path
from typing import Any

import pytest

from tests.workbench.data.fakes import bring, context
from tests.workbench.training.real import write_animals
from workbench.cli.models import lab_words
from workbench.data.job import run_sample
from workbench.models.quantized import QUANTIZATION_METHODS
from workbench.quantization import lab
from workbench.quantization.measuring import make, run_in_subprocess
from workbench.recipes.data import SampleRecipe
from workbench.recipes.quantize import VECTOR_BOUNDS, QuantizeLabRecipe
from workbench.workspace import Workspace

# The real model reads functions of Python's library, once for each result: 400 of them, and five
# conversions, where every method is measured. test_lab.py has two methods on a few animals.
pytestmark = pytest.mark.slow
MODEL, SAMPLE = "all-MiniLM-L6-v2", "stdlib-code"


def measured(workspace: Workspace, **wanted: Any) -> dict[str, Any]:
    return lab.run(QuantizeLabRecipe(model=MODEL, **wanted), context(workspace))


@pytest.mark.soak
def test_every_method_is_within_its_bound_on_the_sample(home: Path) -> None:
    workspace = Workspace.open(home)
    workspace.models.ensure_packaged()
    # By dev queries, so many that chance does not decide (with 100 it moved int8 by .014).
    few = SampleRecipe(name=SAMPLE, train_pairs=50, dev_pairs=300, test_pairs=50)
    run_sample(few, context(workspace))
    found = measured(
        workspace,
        dataset=SAMPLE,
        methods=["bf16", "fp16", "onnx", "onnx-int8", "nf4"],
        vectors=["int8", "binary"],
    )
    workspace.close()
    assert (found["queries"], found["documents"]) == (300, 400)
    models = {row["name"]: row for row in found["models"]}
    vectors = {row["name"]: row for row in found["vectors"]}
    original = models["original"]["map@100"]
    assert original > 0.5
    bounds = VECTOR_BOUNDS | {one.name: one.bound for one in QUANTIZATION_METHODS.all()}
    assert [bounds[name] for name in ("bf16", "fp16", "onnx-int8", "nf4")] == [
        0.005,
        0.005,
        0.01,
        0.03,
    ]
    assert VECTOR_BOUNDS["binary"] == 0.03 and found["rescore"] > 0
    for name, row in [*models.items(), *vectors.items()]:
        bound = 0.0 if name == "original" else bounds[name]
        assert "error" not in row, (name, row)
        assert row["bound"] == bound
        assert original - row["map@100"] <= bound + 1e-6, (name, row["map@100"], original)
        assert row["met"] is True, name


def test_a_model_that_lost_too_much_has_failed_and_is_not_recommended(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoiled(function: Any, order: Any, *others: Any) -> dict[str, Any]:
        """Made as ever, and then damaged on disk: what measures it knows nothing of that."""
        found = run_in_subprocess(function, order, *others)
        if function is make:
            damage(order.made)
        return found

    monkeypatch.setattr(lab, "run_in_subprocess", spoiled)
    workspace = Workspace.open(home)
    workspace.models.ensure_packaged()
    # Texts of a few words, which the real model reads in no time.
    _, animals = bring(workspace, *sorted(write_animals(tmp_path / "animals").iterdir()))
    found = measured(workspace, dataset=animals.name, split="dev", methods=["bf16"], vectors=[])
    workspace.close()
    _, bad = found["models"]
    assert bad["name"] == "bf16" and bad["lost"] > bad["bound"]
    assert bad["met"] is False and "failed" in lab_words(found)
    assert found["models_take"] == "original" and "stays" in found["models_why"]


def damage(folder: Path) -> None:
    """Make every token the same."""
    from safetensors.torch import load_file, save_file

    (path,) = folder.rglob("model.safetensors")
    tables = load_file(path)
    (name,) = [name for name in tables if name.endswith("word_embeddings.weight")]
    tables[name].zero_()
    save_file(tables, path, {"format": "pt"})
