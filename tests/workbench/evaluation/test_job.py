"""The task 'evaluate' with tiny models in a real workspace."""

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.storage import make
from tests.workbench.training.fakes import (
    FakeContext,
    FakeDatasets,
    FakeReader,
    animal_splits,
    save_tiny_model,
)
from workbench.comparison.names import METRICS
from workbench.comparison.table import build_table
from workbench.errors import BadInput, JobCancelled, ModelNotFound, NotFound
from workbench.evaluation import same_length
from workbench.evaluation.named import Named
from workbench.models.inspect import inspect_folder
from workbench.prepare import prepare
from workbench.recipes.evaluate import EvaluateRecipe
from workbench.workspace import Workspace

# Importing torch and sentence-transformers takes 6 to 11 s.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("models")
    return [str(save_tiny_model(folder / f"tiny{seed}", seed=seed)) for seed in (0, 1)]


@pytest.fixture
def context(home: Path) -> FakeContext:
    workspace = Workspace.open(home)
    reader = FakeReader(animal_splits(train=20, dev=60))
    workspace.__dict__["datasets"] = FakeDatasets(reader)
    return FakeContext(workspace, home / "jobs" / "job00001")


def recipe(models: list[str], **values: Any) -> EvaluateRecipe:
    return EvaluateRecipe(dataset="pets", split="dev", models=models, precision="fp32", **values)


def test_what_a_killed_attempt_put_on_record_is_not_there_twice(
    context: FakeContext, models: list[str]
) -> None:
    from workbench.evaluation.job import run

    killed = run(recipe(models[:1]), context)
    registry = context.workspace.evaluations
    before = context.workspace.path(registry.get(killed["evaluations"][0]).path)
    context.resuming = True
    result = run(recipe(models[:1]), context)
    assert [one.id for one in registry.for_job("job00001")] == result["evaluations"]
    assert result["looks"] == 1
    assert not before.exists()


def test_result_record_and_files(context: FakeContext, models: list[str]) -> None:
    from workbench.evaluation.job import run

    result = run(recipe(models), context)
    assert [row["model"] for row in result["rows"]] == models
    assert all(row["queries"] == 60 and set(METRICS.names()) <= set(row) for row in result["rows"])
    (compared,) = result["comparisons"]
    assert (compared["model"], compared["against"]) == (models[1], models[0])
    values = [row["map@100"] for row in result["rows"]]
    assert compared["delta"] == pytest.approx(values[1] - values[0])
    assert compared["ci95"][0] <= compared["delta"] <= compared["ci95"][1]
    assert json.loads(json.dumps(result)) == result
    assert result["looks"] == 1
    assert len(build_table(result).rows) == 2

    registry = context.workspace.evaluations
    assert {one.id for one in registry.for_job("job00001")} == set(result["evaluations"])
    first = registry.get(result["evaluations"][0])
    assert (first.split, first.queries, first.model) == ("dev", 60, "tiny0")
    assert registry.list(dataset="set1", split="dev") and not registry.list(split="test")
    folder = context.workspace.path(first.path)
    per_query = pq.read_table(folder / "queries.parquet")
    assert per_query["map@100"].to_numpy().mean() == pytest.approx(first.metrics["map@100"])
    found = pq.read_table(folder / "run.parquet")
    one = found.filter(found["query"].to_numpy() == found["query"][0].as_py())
    assert one["rank"].to_pylist() == list(range(1, 101))
    assert one["score"].to_pylist() == sorted(one["score"].to_pylist(), reverse=True)
    assert one["document_id"][0].as_py() == f"d{one['document'][0].as_py():05}"
    with pytest.raises(NotFound):
        registry.get("none")


def test_a_model_against_itself_is_not_distinguishable(
    context: FakeContext, models: list[str]
) -> None:
    from workbench.evaluation.job import run

    again = str(Path(models[0]) / ".." / "tiny0")
    (compared,) = run(recipe([models[0], again]), context)["comparisons"]
    assert (compared["delta"], compared["p_value"], compared["ties"]) == (0.0, 1.0, 60)
    assert compared["verdict"] == "not distinguishable on 60 queries"


def test_shallow_runs_do_not_cut_the_metrics(context: FakeContext, models: list[str]) -> None:
    from workbench.evaluation.job import run

    deep, shallow = (run(recipe(models[:1], top_k=k), context)["rows"][0] for k in (100, 10))
    assert deep == shallow


def test_fewer_queries_are_chosen_by_the_seed(context: FakeContext, models: list[str]) -> None:
    from workbench.evaluation.job import run

    row = run(recipe(models[:1], max_queries=10), context)["rows"][0]
    assert row["queries"] == 10


def test_cancel_stops_between_batches(context: FakeContext, models: list[str]) -> None:
    from workbench.evaluation.job import run

    context.cancelled = True
    with pytest.raises(JobCancelled):
        run(recipe(models), context)
    assert context.workspace.evaluations.list() == []


def test_prepare(context: FakeContext, models: list[str]) -> None:
    workspace = context.workspace
    ready = prepare(recipe([models[0], models[1], models[0]]), workspace)
    assert ready.models == models and ready.dataset_version == 1
    with pytest.raises(BadInput, match="no test queries"):
        prepare(recipe(models).model_copy(update={"split": "test"}), workspace)
    with pytest.raises(ModelNotFound):
        prepare(recipe(["no-such-model"]), workspace)
    waiting = prepare(recipe(["no-such-model"]), workspace, waits=True)
    assert waiting.models == ["no-such-model"]


def test_a_second_evaluation_reads_what_the_first_encoded(
    context: FakeContext, models: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from workbench.evaluation.job import run
    from workbench.models.load import LoadedEmbedding

    encoded: list[int] = []
    encode = LoadedEmbedding.encode

    def counting(self: Any, texts: list[str], *args: Any, **options: Any) -> Any:
        encoded.append(len(texts))
        return encode(self, texts, *args, **options)

    monkeypatch.setattr(LoadedEmbedding, "encode", counting)
    first = run(recipe(models), context)["rows"]
    before = sum(encoded)
    assert run(recipe(models, metric="ndcg@10"), context)["rows"] == first
    assert sum(encoded) == before > 0
    again = run(recipe(models, use_cache=False), context)["rows"]
    assert sum(encoded) == 2 * before
    assert again[0]["map@100"] == pytest.approx(first[0]["map@100"], abs=1e-6)


def trained_from(context: FakeContext, model: str, base: str) -> str:
    """A model of the workspace that was trained from ``base`` and reads 4 tokens of a document."""
    folder = context.workspace.home / "models" / "tuned"
    shutil.copytree(model, folder)
    contract = inspect_folder(Path(model)).contract
    contract.model_copy(update={"passage_max_len": 4, "base_model": base}).write(folder)
    made = make.model("tuned", "tuned", base=base, path="models/tuned")
    context.workspace.store.models.insert(made)
    return "tuned"


def test_a_base_is_measured_at_its_trained_models_length(
    context: FakeContext, models: list[str]
) -> None:
    """Its row says so, in the table and on record, and is as if every model were cut there."""
    from workbench.evaluation.job import run

    tuned = trained_from(context, models[1], models[0])
    plain = run(recipe([models[0], tuned]), context)
    beside = "tiny0 at 4 tokens"
    assert same_length.offers(context.workspace, plain) == {tuned: beside}
    result = run(recipe([models[0], tuned], bases_at_length_of=[tuned]), context)
    assert same_length.offers(context.workspace, result) == {}
    rows = {row["model"]: row for row in result["rows"]}
    assert list(rows) == [models[0], tuned, beside]
    assert [row["passage_max_len"] for row in rows.values()] == [64, 4, 4]
    assert rows[beside]["map@100"] != rows[models[0]]["map@100"]
    assert {one["model"] for one in result["comparisons"]} == {tuned, beside}
    for name in (models[0], tuned):
        assert rows[name] == next(row for row in plain["rows"] if row["model"] == name)
    kept = [context.workspace.evaluations.get(id) for id in result["evaluations"]]
    assert [one.model for one in kept] == ["tiny0", tuned, beside]
    assert [one.settings.get("own_lengths", True) for one in kept] == [True, True, False]

    cut = run(recipe([models[0], tuned], passage_max_len=4), context)
    assert [row["model"] for row in cut["rows"]] == [beside, tuned]
    assert cut["rows"][0] == rows[beside]


def test_no_model_is_read_beyond_its_positions(context: FakeContext, models: list[str]) -> None:
    from workbench.evaluation.job import run

    (row,) = run(recipe(models[:1], passage_max_len=500, query_max_len=16), context)["rows"]
    assert row["model"] == "tiny0 at 16 / 64 tokens"
    assert (row["query_max_len"], row["passage_max_len"]) == (16, 64)


def test_the_base_of_a_model_that_was_not_trained_is_not_known(
    context: FakeContext, models: list[str]
) -> None:
    with pytest.raises(BadInput, match="not on record which base"):
        prepare(recipe(models, bases_at_length_of=[models[0]]), context.workspace)


def test_the_base_of_a_second_stage_is_measured_as_one(
    context: FakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workbench.evaluation import job

    seen: dict[str, list[str]] = {}

    class Ground:
        def __init__(self, _recipe: Any, _context: Any, models: Any, rerankers: Any) -> None:
            seen["models"] = [one.name for one in models]
            seen["rerankers"] = [one.name for one in rerankers]

        def measure(self) -> dict[str, Any]:
            return {}

    def named(*names: str) -> list[Named]:
        return [Named(name, None) for name in names]

    monkeypatch.setattr(job, "_Ground", Ground)
    monkeypatch.setattr(job, "find", lambda _workspace, name: named(name)[0])
    monkeypatch.setattr(
        job, "bases", lambda _workspace, names: named(*(f"base of {name}" for name in names))
    )
    asked = {"models": ["a", "b"], "rerankers": ["x"], "bases_at_length_of": ["x", "a"]}
    job.run(EvaluateRecipe(dataset="pets", split="test", **asked), context)
    assert seen == {"models": ["a", "b", "base of a"], "rerankers": ["x", "base of x"]}
