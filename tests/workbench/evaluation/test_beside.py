"""What stands beside the retrieval table: scored pairs, fewer dimensions, a second data set."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.workbench.training.fakes import FakeContext, FakeReader, animal_splits, save_tiny_model
from workbench.comparison.names import METRICS
from workbench.comparison.table import build_table, pair_table
from workbench.errors import BadInput, BadRecipe
from workbench.prepare import prepare
from workbench.recipes.evaluate import EvaluateRecipe
from workbench.workspace import Workspace

# Importing torch and sentence-transformers takes 6 to 11 s.
pytestmark = pytest.mark.slow


class PairsReader(FakeReader):
    """Queries as ever, and scored pairs in 'test'."""

    def __init__(self, splits: Any, pairs: int) -> None:
        super().__init__(splits)
        names = ["cat", "dog", "horse", "cow", "goat"]
        rows = [
            {
                "left": f"a {names[at % 5]} sleeps",
                "right": f"a {names[(at * at) % 5]} sleeps {at}",
                "score": float((at * 7) % 6),
                "split": "test",
            }
            for at in range(pairs)
        ]
        self._pairs = pa.Table.from_pylist(rows) if rows else pa.table({"split": []})

    @property
    def counts(self) -> dict[str, Any]:
        return {**super().counts, "pairs": self._pairs.num_rows}

    def pairs(self, split: str | None = None) -> Any:
        return self._pairs.slice(0, self._pairs.num_rows if split == "test" else 0)


class Several:
    """Data sets by name."""

    def __init__(self, **readers: Any) -> None:
        self.readers = readers

    def exists(self, name: str) -> bool:
        return name in self.readers

    def get(self, name: str) -> Any:
        from storage.records import Dataset

        return Dataset(f"id-{name}", name, 0.0, 1, {})

    def read(self, name: str, version: int | None = None) -> Any:
        return self.readers[name]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("models")
    return [str(save_tiny_model(folder / f"tiny{seed}", seed=seed)) for seed in (0, 1)]


@pytest.fixture
def context(home: Path) -> FakeContext:
    workspace = Workspace.open(home)
    animals = animal_splits(train=20, dev=60)
    workspace.__dict__["datasets"] = Several(
        pets=PairsReader(animals, 0),
        sts=PairsReader({}, 80),
        both=PairsReader({"test": animals["dev"]}, 80),
    )
    return FakeContext(workspace, home / "jobs" / "job00001")


def recipe(dataset: str, models: list[str], **values: Any) -> EvaluateRecipe:
    split = "dev" if dataset == "pets" else "test"
    return EvaluateRecipe(dataset=dataset, split=split, models=models, precision="fp32", **values)


def test_scored_pairs_are_judged_by_correlation_alone(
    context: FakeContext, models: list[str]
) -> None:
    from workbench.evaluation.job import run

    result = run(prepare(recipe("sts", models), context.workspace), context)
    assert json.loads(json.dumps(result)) == result
    rows = result["pairs"]["rows"]
    assert [row["model"] for row in rows] == models
    for row in rows:
        assert row["pairs"] == 80 and not set(METRICS.names()) & set(row)
        assert row["spearman_ci95"][0] <= row["spearman"] <= row["spearman_ci95"][1]
    (compared,) = result["comparisons"]
    assert compared["metric"] == "spearman" and compared["p_holm"] == compared["p_value"]
    assert compared["delta"] == pytest.approx(rows[1]["spearman"] - rows[0]["spearman"])
    assert build_table(result).rows == ()
    table = pair_table(result)
    assert table is not None and len(table.rows) == 2

    kept = context.workspace.evaluations.get(result["pairs"]["evaluations"][0])
    assert set(kept.metrics) == {"spearman", "pearson"} and kept.settings["pairs"] == 80
    on_disk = pq.read_table(context.workspace.path(kept.path) / "pairs.parquet")
    given, score = (on_disk[name].to_numpy() for name in ("given", "score"))
    assert np.corrcoef(given, score)[0, 1] == pytest.approx(kept.metrics["pearson"])


def test_pairs_read_at_other_lengths_are_on_record_as_such(
    context: FakeContext, models: list[str]
) -> None:
    from workbench.evaluation.job import run

    kept = []
    for more in ({}, {"passage_max_len": 8}):
        asked = prepare(recipe("sts", models[:1], **more), context.workspace)
        (id,) = run(asked, context)["pairs"]["evaluations"]
        kept.append(context.workspace.evaluations.get(id).settings)
    own, other = kept
    assert own["passage_max_len"] > other["passage_max_len"] == 8
    assert "own_lengths" not in own and other["own_lengths"] is False


def test_the_given_scores_themselves_agree_wholly(
    context: FakeContext, models: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from workbench.evaluation import job

    given = context.workspace.datasets.read("sts").pairs("test")["score"].to_numpy()
    monkeypatch.setattr(job, "score_pairs", lambda *_args, **_more: 3 * given + 1)
    (row,) = job.run(recipe("sts", models[:1]), context)["pairs"]["rows"]
    assert row["spearman"] == pytest.approx(1) and row["pearson"] == pytest.approx(1)


def test_a_data_set_with_both_shows_both(context: FakeContext, models: list[str]) -> None:
    from workbench.evaluation.job import run

    result = run(recipe("both", ["bm25", *models]), context)
    assert [row["model"] for row in result["rows"]] == ["bm25", *models]
    assert all("map@100" in row and "spearman" not in row for row in result["rows"])
    assert [row["model"] for row in result["pairs"]["rows"]] == models
    assert result["pairs"]["left_out"] == ["bm25"]
    with pytest.raises(BadInput, match="against a collection"):
        run(recipe("sts", ["bm25"]), context)


def test_a_split_without_pairs_or_queries_is_refused_at_the_click(
    context: FakeContext, models: list[str]
) -> None:
    asked = recipe("sts", models).model_copy(update={"split": "dev"})
    with pytest.raises(BadInput):
        prepare(asked, context.workspace)


def test_fewer_dimensions_are_measured_from_one_pass(
    context: FakeContext, models: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from workbench.evaluation import measure as measuring
    from workbench.evaluation.job import run
    from workbench.evaluation.measure import measure, measure_cut
    from workbench.evaluation.pool import whole_pool
    from workbench.models.load import LoadedEmbedding, load_model
    from workbench.models.locate import locate

    searched: list[int] = []
    search = measuring.search

    def noting(queries: Any, *args: Any, **options: Any) -> Any:
        searched.append(queries.shape[1])
        return search(queries, *args, **options)

    monkeypatch.setattr(measuring, "search", noting)
    result = run(recipe("pets", ["bm25", models[0]], dimensions="8, 4, 10000"), context)
    points = result["dimensions"]
    full = points[0]["dimensions"]
    assert [point["dimensions"] for point in points] == [full, 8, 4]
    # All of them once: what the model is worth whole was measured for its row.
    assert searched == [full, 8, 4]
    assert points[0]["map@100"] == result["rows"][1]["map@100"]
    kept = context.workspace.evaluations.get(points[1]["evaluation"])
    assert kept.settings["cut_to"] == 8 and kept.metrics["map@100"] == points[1]["map@100"]

    model = load_model(locate(context.workspace, models[0]), precision="fp32")
    pool = whole_pool(context.workspace.datasets.read("pets"), "dev")
    encoded: list[int] = []
    encode = LoadedEmbedding.encode

    def counting(self: Any, texts: list[str], *args: Any, **options: Any) -> Any:
        encoded.append(len(texts))
        return encode(self, texts, *args, **options)

    monkeypatch.setattr(LoadedEmbedding, "encode", counting)
    found = measure_cut(model, pool, wanted="8, 4", k=100)
    assert sum(encoded) == len(pool.queries) + pool.documents

    class Cut:
        """The same, as a model that has so few dimensions itself."""

        contract = model.contract

        def encode(self, texts: list[str], role: Any, **options: Any) -> Any:
            vectors = model.encode(texts, role, **options)[:, :8]
            return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    alone = measure(Cut(), pool).scores.means()
    assert found[8].scores.means() == pytest.approx(alone, abs=1e-6)


def test_dimensions_are_checked(context: FakeContext, models: list[str]) -> None:
    from workbench.evaluation.job import run
    from workbench.recipes.base import dimensions_of

    for wrong in ("many", "0", "1.5", ",".join(str(n) for n in range(1, 20))):
        with pytest.raises(BadRecipe):
            EvaluateRecipe.read({"dataset": "pets", "models": models, "dimensions": wrong})
    assert dimensions_of("auto", 384) == [384, 192, 96, 48]
    with pytest.raises(BadInput, match="cannot be truncated"):
        run(recipe("pets", models[:1], dimensions="5000"), context)


def test_a_second_data_set_is_measured_beside_the_first(
    context: FakeContext, models: list[str]
) -> None:
    from workbench.evaluation.job import run

    asked = prepare(recipe("pets", models, second_dataset="both"), context.workspace)
    result = run(asked, context)
    second = result["second_dataset"]
    # It has no dev split, so its test split is taken.
    assert (second["dataset"], second["split"]) == ("both", "test")
    assert [row["model"] for row in second["rows"]] == models
    assert second["comparisons"] and second["pairs"]["rows"]
    with pytest.raises(BadInput, match="is the first one"):
        prepare(recipe("pets", models, second_dataset="pets"), context.workspace)
