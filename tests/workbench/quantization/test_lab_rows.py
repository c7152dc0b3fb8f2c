"""The lab in this process, over a model of kilobytes: what fails is a row, and all can be kept."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.workbench.models import tiny
from tests.workbench.models.fakes import FakeContext
from tests.workbench.search.test_rerank import corpus, put_model
from workbench.data.job import run_import
from workbench.errors import BadInput, ModelNotFound
from workbench.prepare import prepare
from workbench.quantization.prepare import keepable, keeping
from workbench.recipes.data import ImportRecipe
from workbench.recipes.evaluate import IndexRecipe
from workbench.recipes.quantize import QuantizeLabRecipe
from workbench.workspace import Workspace

# The codes are sentence-transformers' own, which takes 6 to 11 seconds to import.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """The data set 'animals', and 'small', which is another model than the folder of that name."""
    folder = tmp_path_factory.mktemp("lab")
    workspace = Workspace.open(folder / "home")
    recipe = ImportRecipe(paths=[str(corpus(folder))], name="animals")
    run_import(prepare(recipe, workspace, False), FakeContext(workspace))
    put_model(workspace, "small", tiny.bert(folder / "other", seed=1))
    tiny.bert(folder / "elsewhere" / "small")
    yield workspace
    workspace.close()


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each measurement in this process, not in one of its own."""
    from workbench.quantization import lab

    def apart(function: Callable[..., Any], order: Any, progress: Any, _stop: Any) -> Any:
        return function(order, progress)

    monkeypatch.setattr(lab, "run_in_subprocess", apart)


def measure(workspace: Workspace, **values: Any) -> dict[str, Any]:
    from workbench.quantization.lab import run

    split = next(iter(workspace.datasets.read("animals").counts["splits"]))
    about = {"model": "small", "dataset": "animals", "split": split, "device": "cpu"}
    recipe = QuantizeLabRecipe.read({**about, "methods": [], **values})
    return run(prepare(recipe, workspace), FakeContext(workspace))


def elsewhere(workspace: Workspace) -> str:
    return str(workspace.home.parent / "elsewhere" / "small")


def test_signs_that_fill_no_byte_are_measured_too(opened: Workspace) -> None:
    result = measure(opened, vectors=["binary", "ubinary"], dimensions="20")
    rows = {row["name"]: row for row in result["vectors"]}
    assert list(rows) == ["original", "binary", "ubinary", "binary 20", "ubinary 20"]
    count = result["documents"]
    assert [rows[name]["memory"] for name in ("binary", "binary 20")] == [4 * count, 3 * count]


def test_what_fails_is_a_row_and_the_others_stay(
    opened: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workbench.quantization import lab, measuring
    from workbench.quantization.vectors import Codes

    made = Codes.of

    def of(vectors: Any, format: Any, **about: Any) -> Codes:
        if format.method == "int8":
            raise RuntimeError("no such dimension\nand more")
        return made(vectors, format, **about)

    def convert(*_: Any, **__: Any) -> None:
        raise KeyError("weights")

    monkeypatch.setattr(lab.Codes, "of", of)
    monkeypatch.setattr(measuring, "convert", convert)
    result = measure(opened, methods=["bf16"], vectors=["int8", "uint8"])
    original, bf16 = result["models"]
    assert original["map@100"] > 0
    assert "KeyError: 'weights'" in bf16["error"] and bf16["met"] is False
    rows = {row["name"]: row for row in result["vectors"]}
    assert "RuntimeError: no such dimension. The job's log" in rows["int8"]["error"]
    assert "and more" not in rows["int8"]["error"]
    assert rows["uint8"]["map@100"] > 0 and result["vectors_take"]
    assert keepable(result) == ["vectors:uint8"]


def test_a_model_measured_by_its_folder_is_kept_from_there(opened: Workspace) -> None:
    result = measure(opened, model=elsewhere(opened), methods=["bf16"], vectors=["int8"])
    assert result["model"] == "small" and result["model_id"] is None
    model = keeping(opened, result, "models:bf16", "half")
    index = keeping(opened, result, "vectors:int8", "bytes")
    assert model.model == index.model == elsewhere(opened)  # type: ignore[attr-defined]


def test_an_index_is_kept_of_the_data_that_was_measured(opened: Workspace) -> None:
    result = measure(opened, vectors=["int8"])
    renamed = opened.datasets.rename("animals", "beasts")
    try:
        index = keeping(opened, result, "vectors:int8", "")
        assert isinstance(index, IndexRecipe)
        assert (index.dataset, index.dataset_version) == ("beasts", 1)
        assert index.model == "small"
        for other in ({"dataset_id": "another"}, {"dataset_version": 7}):
            with pytest.raises(BadInput, match="no longer exists"):
                keeping(opened, {**result, **other}, "vectors:int8", "")
        with pytest.raises(ModelNotFound):
            keeping(opened, {**result, "model_id": "removed"}, "vectors:int8", "")
    finally:
        opened.datasets.rename(renamed.name, "animals")


def test_the_recipe_names_the_version_it_measures(opened: Workspace) -> None:
    recipe = QuantizeLabRecipe(model="small", dataset="animals")
    assert prepare(recipe, opened).dataset_version == 1
    with pytest.raises(BadInput, match="version 3"):
        prepare(recipe.model_copy(update={"dataset_version": 3}), opened)
    later = recipe.model_copy(update={"dataset": "to-come"})
    assert prepare(later, opened, waits=True).dataset_version is None


def test_the_quantizer_is_quiet_and_others_stay_heard(
    opened: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import logging

    from workbench.models.locate import locate
    from workbench.quantization import quantizers
    from workbench.quantization.quantize import convert

    heard = []

    def in_eight_bits(_whole: Path, target: Path) -> None:
        heard.append(logging.getLogger().level)
        target.write_bytes(b"graph")

    def export(_model: Any, target: Path) -> None:
        target.write_bytes(b"whole")

    monkeypatch.setattr(quantizers, "export", export)
    monkeypatch.setattr(quantizers, "in_eight_bits", in_eight_bits)
    before = logging.getLogger().level
    (tmp_path / "made").mkdir()
    convert(locate(opened, "small"), "onnx-int8", tmp_path / "made", device="cpu")
    assert heard == [logging.ERROR]
    assert logging.getLogger().level == before
