"""The ends of a blend are its two models, and a kept point is a model of its own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.workbench.merging.conftest import Bench
from tests.workbench.training.fakes import FakeDatasets, FakeReader, animal_splits
from tests.workbench.training.test_cells import scores
from workbench.data.reader import choosing_split, chosen_by
from workbench.errors import BadInput, BadRecipe
from workbench.evaluation.measure import measure
from workbench.evaluation.pool import whole_pool
from workbench.jobs import files
from workbench.merging.blend import between, run
from workbench.merging.merge import run as merge
from workbench.models.load import load_model
from workbench.models.locate import locate, locate_folder
from workbench.recipes.merge import BlendRecipe, MergeRecipe

METRIC = "map@100"


def recipe(base: Path, **values: Any) -> BlendRecipe:
    about = {"model": "mine", "base": str(base), "dataset": "pets", "second_dataset": "pets"}
    return BlendRecipe.read({**about, "device": "cpu", "precision": "fp32", **values})


@pytest.mark.slow  # trains a tiny model
def test_the_ends_are_the_two_models(trained: Callable[..., Bench], bases: dict[str, Path]) -> None:
    bench = trained("embedding", "bert", "full")
    result = run(recipe(bases["bert"], ratios="0,0.5,1"), bench.context)
    assert [row["ratio"] for row in result["rows"]] == [0.0, 0.5, 1.0]
    assert {row["split"] for row in result["rows"]} == {"dev"}
    pool = whole_pool(bench.workspace.datasets.read("pets"), "dev")
    tuned = load_model(locate(bench.workspace, "mine"), device="cpu", precision="fp32")
    base = load_model(
        locate_folder(bench.workspace, bases["bert"]), device="cpu", precision="fp32"
    ).with_contract(tuned.contract)
    for row, model in ((result["rows"][0], base), (result["rows"][2], tuned)):
        assert row[METRIC] == pytest.approx(measure(model, pool).scores.means()[METRIC])
    assert result["rows"][0][METRIC] != result["rows"][2][METRIC]
    assert result["model"] is None
    assert len(bench.workspace.models.added) == 1


@pytest.mark.slow  # trains a tiny model
@pytest.mark.parametrize(
    ("kind", "base"), [("embedding", "bert"), ("late-interaction", "m3"), ("reranker", "qwen2-lm")]
)
def test_a_kept_point_is_a_model_of_its_own(
    trained: Callable[..., Bench], bases: dict[str, Path], kind: str, base: str
) -> None:
    from sentence_transformers import CrossEncoder, MultiVectorEncoder, SentenceTransformer

    bench = trained(kind, base, "full")
    result = run(recipe(bases[base], ratios="0.25", keep=0.25, name="quarter"), bench.context)
    record = bench.workspace.models.get("quarter")
    kept = files.read_object(bench.context.folder / files.MADE)
    assert kept == {"path": record.path, "result": result}
    assert (record.kind, record.summary["ratio"], result["model"]) == (kind, 0.25, "quarter")
    assert record.summary["measured"][0][METRIC] == result["rows"][0][METRIC]
    folders = [bench.folder, bench.workspace.home / record.path]
    loads: dict[str, Any] = {
        "embedding": SentenceTransformer,
        "reranker": CrossEncoder,
        "late-interaction": MultiVectorEncoder,
    }
    load = loads[kind]
    tuned, kept = (load(str(folder), device="cpu").state_dict() for folder in folders)
    start = load_model(
        locate_folder(bench.workspace, bases[base]),
        device="cpu",
        contract=locate(bench.workspace, "mine").contract,
    ).model.state_dict()
    expected = between(tuned, start, 0.25)
    for name, value in kept.items():
        assert torch.allclose(value.float(), expected[name].float(), atol=1e-7), name
    again = load_model(locate(bench.workspace, "quarter"), device="cpu", precision="fp32")
    assert np.isfinite(scores(again)).all()


@pytest.mark.slow  # trains a tiny model
def test_a_base_of_another_kind_is_refused(
    trained: Callable[..., Bench], bases: dict[str, Path]
) -> None:
    bench = trained("reranker", "bert", "full")
    with pytest.raises(BadInput, match="its base 'bert' of the kind embedding"):
        run(recipe(bases["bert"]), bench.context)


@pytest.mark.slow  # trains a tiny model
def test_an_adapter_is_merged_first(trained: Callable[..., Bench], bases: dict[str, Path]) -> None:
    bench = trained("embedding", "bert", "lora")
    with pytest.raises(BadInput, match="is an adapter"):
        run(recipe(bases["bert"]), bench.context)
    merge(MergeRecipe(model="mine", name="whole", device="cpu"), bench.context)
    rows = run(recipe(bases["bert"], model="whole", ratios="1"), bench.context)["rows"]
    assert [row["ratio"] for row in rows] == [1.0]


@pytest.mark.slow  # trains a tiny model
def test_other_shapes_are_refused(trained: Callable[..., Bench], bases: dict[str, Path]) -> None:
    bench = trained("embedding", "bert", "full")
    with pytest.raises(BadInput, match="not of the same architecture"):
        run(recipe(bases["qwen2"]), bench.context)


def test_whole_numbers_are_not_blended() -> None:
    tuned = {"w": torch.tensor([2.0]), "at": torch.tensor([1])}
    base = {"w": torch.tensor([0.0]), "at": torch.tensor([9])}
    assert between(tuned, base, 0.25)["w"].tolist() == [0.5]
    assert between(tuned, base, 0.25)["at"].tolist() == [1]
    assert between(tuned, base, 0.0) is base
    assert between(tuned, base, 1.0) is tuned


@pytest.mark.parametrize("ratios", ["", "0, 1.5", "a, b", ", ".join(["0.1"] * 30) + ", -1"])
def test_bad_ratios_are_a_sentence(ratios: str) -> None:
    with pytest.raises(BadInput, match="ratio"):
        BlendRecipe.read(
            {"model": "m", "base": "b", "dataset": "d", "second_dataset": "s", "ratios": ratios}
        )


class _Reader:
    name = "pets"

    def __init__(self, **splits: int) -> None:
        self.counts = {"splits": splits, "queries": sum(splits.values()), "pairs": 0}


@pytest.mark.parametrize(
    ("splits", "wanted"),
    [
        ({"train": 5, "dev": 5, "test": 5}, "dev"),
        ({"train": 5, "dev": 0, "test": 5}, "train"),
        ({"train": 0, "dev": 0, "test": 5}, None),
    ],
)
def test_a_ratio_is_never_chosen_on_test(splits: dict[str, int], wanted: str | None) -> None:
    reader: Any = _Reader(**splits)
    if wanted is None:
        with pytest.raises(BadInput, match="neither dev nor train"):
            choosing_split(reader, "auto")
        # What measures a loss may, where nothing else is there; it says so.
        assert choosing_split(reader, "auto", or_test=True) == "test"
        assert "no longer be evaluated" in chosen_by("test", "pets")[0]
        return
    assert choosing_split(reader, "auto") == wanted
    assert bool(chosen_by(wanted, "pets")) == (wanted == "train")
    if not splits["dev"]:
        with pytest.raises(BadInput, match="no dev queries"):
            choosing_split(reader, "dev")


def test_test_is_no_choice_of_a_blend(bases: dict[str, Path]) -> None:
    with pytest.raises(BadRecipe, match="split"):
        recipe(bases["bert"], split="test")


@pytest.mark.slow  # trains a tiny model
def test_without_dev_train_is_asked_and_it_is_said(
    trained: Callable[..., Bench], bases: dict[str, Path]
) -> None:
    bench = trained("embedding", "bert", "full", max_steps=2, query_max_len=6)
    splits = animal_splits(20, 20)
    splits = {"train": splits["train"], "test": splits["dev"]}
    bench.workspace.__dict__["datasets"] = FakeDatasets(FakeReader(splits))
    result = run(recipe(bases["bert"], ratios="0,1"), bench.context)
    assert {row["split"] for row in result["rows"]} == {"train"}
    assert "training queries" in result["notes"][0] and result["notes"][0] in bench.context.notes
    # Both ends at the base's lengths, whatever the run was trained at.
    assert result["query_max_len"] == bench.record.contract["query_max_len"] > 6
