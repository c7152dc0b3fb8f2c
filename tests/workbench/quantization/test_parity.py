"""How much each method may lose on the sample, by the lab's own verdict, with the real model."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.workbench.data.fakes import context
from workbench.cli.quantize import lab_words
from workbench.data.job import run_sample
from workbench.quantization import lab
from workbench.quantization.apart import apart
from workbench.quantization.measuring import make
from workbench.quantization.methods import BOUNDS, VECTOR_BOUNDS
from workbench.recipes.data import SampleRecipe
from workbench.recipes.quantize import QuantizeLabRecipe
from workbench.workspace import Workspace

# The real model reads functions of Python's library, once for each result: 360 of them, and five
# conversions, where every method is measured. test_lab.py has two methods on a few animals.
pytestmark = pytest.mark.slow
MODEL, SAMPLE = "all-MiniLM-L6-v2", "stdlib-code"


@contextmanager
def sampled(home: Path, train: int, dev: int, test: int) -> Iterator[Workspace]:
    opened = Workspace.open(home)
    opened.models.ensure_packaged()
    few = SampleRecipe(name=SAMPLE, train_pairs=train, dev_pairs=dev, test_pairs=test)
    run_sample(few, context(opened))
    yield opened
    opened.close()


def measured(workspace: Workspace, **wanted: Any) -> dict[str, Any]:
    recipe = QuantizeLabRecipe(model=MODEL, dataset=SAMPLE, **wanted)
    return lab.run(recipe, context(workspace))


@pytest.mark.soak
def test_every_method_is_within_its_bound_on_the_sample(home: Path) -> None:
    # The sample's number of test queries (with 100, chance moved int8 by .014); fewer documents.
    with sampled(home, train=50, dev=10, test=300) as workspace:
        found = measured(
            workspace,
            methods=["bf16", "fp16", "onnx", "onnx-int8", "nf4"],
            vectors=["int8", "binary"],
        )
    assert (found["queries"], found["documents"]) == (300, 360)
    models = {row["name"]: row for row in found["models"]}
    vectors = {row["name"]: row for row in found["vectors"]}
    original = models["original"]["map@100"]
    assert original > 0.5
    assert [BOUNDS[name] for name in ("bf16", "fp16", "onnx-int8", "nf4")] == [
        0.005,
        0.005,
        0.01,
        0.03,
    ]
    assert VECTOR_BOUNDS["binary"] == 0.03 and found["rescore"] > 0
    for name, row in [*models.items(), *vectors.items()]:
        bound = 0.0 if name == "original" else {**VECTOR_BOUNDS, **BOUNDS}[name]
        assert "error" not in row, (name, row)
        assert row["bound"] == bound
        assert original - row["map@100"] <= bound + 1e-6, (name, row["map@100"], original)
        assert row["met"] is True, name


def test_a_model_that_lost_too_much_has_failed_and_is_not_recommended(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoiled(function: Any, order: Any, *others: Any) -> dict[str, Any]:
        """Made as ever, and then damaged on disk: what measures it knows nothing of that."""
        found = apart(function, order, *others)
        if function is make:
            damage(order.made)
        return found

    monkeypatch.setattr(lab, "apart", spoiled)
    with sampled(home, train=50, dev=10, test=50) as workspace:
        found = measured(workspace, methods=["bf16"], vectors=[], max_queries=50)
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
