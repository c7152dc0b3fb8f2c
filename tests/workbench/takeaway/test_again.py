"""A run cloned with a change, and a sweep of several values."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from storage.records import JobStatus, SlotKind
from tests.storage import make
from tests.workbench.training.fakes import FakeDatasets, FakeReader
from workbench.cli import train as cli_sweep
from workbench.cli import train as cli_train
from workbench.cli.main import build_parser
from workbench.errors import BadInput, BadRecipe, WasRemoved
from workbench.recipes.train import TrainEmbeddingRecipe
from workbench.recipes.train_kinds import TrainRerankerRecipe
from workbench.takeaway.snippet import CONFIG, origin
from workbench.takeaway.sweeps import (
    MOST_RUNS,
    Started,
    plan,
    recipe_of,
    remember,
    results,
    run_name,
    sweep_of,
)
from workbench.workspace import Workspace


@pytest.fixture
def workspace(home: Path) -> Iterator[Workspace]:
    opened = Workspace.open(home)
    yield opened
    opened.close()


def put(workspace: Workspace, id: str, recipe: Any, **values: Any) -> Any:
    about = {"task": recipe.task, "recipe": recipe.model_dump(mode="json"), "name": recipe.name}
    about |= {"slot_kind": SlotKind.TRAIN}
    return workspace.store.jobs.insert(make.job(id, **about, **values))


START = TrainEmbeddingRecipe(dataset="tea", name="tuned", batch_size=16, dataset_version=2)


def cloned(workspace: Workspace, *argv: str) -> Any:
    return cli_train.read_recipe(workspace, build_parser().parse_args(["train", *argv]))


@pytest.mark.parametrize("status", [JobStatus.SUCCEEDED, JobStatus.FAILED])
def test_a_clone_differs_in_what_was_said(workspace: Workspace, status: JobStatus) -> None:
    put(workspace, "run1", START, status=status)
    made = cloned(workspace, "--clone", "run1", "--set", "batch_size=8")
    assert made == START.model_copy(update={"batch_size": 8})
    made = cloned(workspace, "--clone", "run1", "--learning-rate", "1e-3", "--name", "other")
    assert (made.learning_rate, made.name, made.dataset_version) == (1e-3, "other", 2)


def test_a_clone_has_the_run_s_kind_and_a_free_name(workspace: Workspace) -> None:
    put(workspace, "run1", TrainRerankerRecipe(dataset="tea", name="tuned", objective="listnet"))
    workspace.store.models.insert(make.model("m1", name="tuned"))
    made = cloned(workspace, "--clone", "run1")
    assert isinstance(made, TrainRerankerRecipe)
    assert (made.objective, made.name) == ("listnet", "tuned-2")
    with pytest.raises(BadInput, match="of the kind reranker"):
        cloned(workspace, "--clone", "run1", "--kind", "embedding")
    with pytest.raises(BadInput, match="no training run"):
        workspace.store.jobs.insert(
            make.job("add1", task="add-model", recipe={"source": "x"}, slot_kind=SlotKind.LIGHT)
        )
        recipe_of(workspace, "add1")


def test_what_was_removed_is_named_anew(workspace: Workspace) -> None:
    """Another data set has the name by now."""
    put(workspace, "run1", START, references={"dataset": "removed"})
    workspace.store.datasets.insert(*make.dataset("d2", "tea"))
    for ask in (["train", "--clone", "run1"], ["sweep", "--from", "run1", "--set", "seed=1,2"]):
        args = build_parser().parse_args(ask)
        with pytest.raises(WasRemoved, match="The data set 'tea'"):
            (cli_train.read_recipe if ask[0] == "train" else cli_sweep._first)(workspace, args)
    for given in (["--dataset", "other"], ["--set", "dataset=other"]):
        assert cloned(workspace, "--clone", "run1", *given).dataset == "other"
    args = build_parser().parse_args(["sweep", "--from", "run1", "--set", "dataset=a,b"])
    assert cli_sweep._first(workspace, args).dataset == "tea"


def test_a_script_is_about_the_data_set_of_the_run(workspace: Workspace) -> None:
    workspace.store.datasets.insert(*make.dataset("d1", "tea"))
    job = put(workspace, "run1", START, references={"dataset": "d1"}, status=JobStatus.SUCCEEDED)
    model = make.model("m1", "tuned", job_id=job.id, summary={"dataset": "tea"})
    workspace.store.models.insert(model)
    folder = workspace.path(model.path)
    folder.mkdir(parents=True)
    kept = {**START.model_dump(mode="json"), "resolved": {"device": "cpu"}}
    (folder / CONFIG).write_text(json.dumps(kept))
    workspace.datasets.rename("tea", "chai")
    workspace.store.datasets.insert(*make.dataset("d2", "tea"))
    assert origin(workspace, model).recipe.dataset == "chai"
    workspace.datasets.remove("chai")
    with pytest.raises(WasRemoved, match="'chai'"):
        origin(workspace, model)
    workspace.jobs.remove(job.id)
    assert origin(workspace, model).recipe == START


def test_two_fields_make_every_combination(workspace: Workspace) -> None:
    found = plan(workspace, START, ["learning-rate=1e-4,5e-5", "batch_size=8,16,8"])
    assert found.fields == ("learning_rate", "batch_size")
    tried = [(one.learning_rate, one.batch_size) for one in found.recipes]
    assert tried == [(1e-4, 8), (1e-4, 16), (5e-5, 8), (5e-5, 16)]
    assert found.recipes[0].name == "tuned-learning_rate-1e-4-batch_size-8"
    assert {one.dataset_version for one in found.recipes} == {2}
    lists = plan(workspace, START, ['matryoshka_dims=["16,8", ""]'])
    assert [one.matryoshka_dims for one in lists.recipes] == ["16,8", ""]
    assert len(run_name("n" * 200, {"learning_rate": "1e-4"})) <= 120


def test_all_runs_of_a_sweep_are_measured_on_one_dev(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Longer runs can afford a larger one, and their values would be lower for it."""
    splits = {
        name: [(f"{name} {at}", [f"text {name} {at}"], []) for at in range(400)]
        for name in ("train", "dev")
    }
    monkeypatch.setattr(workspace, "datasets", FakeDatasets(FakeReader(splits)))
    start = TrainEmbeddingRecipe(dataset="pets", name="tuned")
    found = plan(workspace, start, ["epochs=2,9"])
    short, long = found.recipes
    assert 50 <= short.dev_queries == long.dev_queries < 200
    assert short.dev_documents == long.dev_documents
    [given, _] = plan(workspace, start, ["dev_queries=80,90"]).recipes
    assert given.dev_queries == 80


def test_a_sweep_on_very_little_data_can_be_read_again(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    splits = {name: [(f"{name} 1", [f"text {name}"], [])] for name in ("train", "dev")}
    monkeypatch.setattr(workspace, "datasets", FakeDatasets(FakeReader(splits)))
    start = TrainEmbeddingRecipe(dataset="pets", name="tuned")
    for recipe in plan(workspace, start, ["epochs=2,9"]).recipes:
        assert TrainEmbeddingRecipe.read(recipe.model_dump()) == recipe


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["seed=1"], "That is 1 runs"),
        ([f"seed={','.join(map(str, range(MOST_RUNS + 1)))}"], "That is 25 runs"),
        (["seed=1,2", "batch_size=1,2", "epochs=1,2"], "one or two fields"),
        (["seed=1,2", "seed=3,4"], "one or two fields"),
        (["sead=1,2"], "no field named 'sead'"),
        (["name=a,b"], "no field named 'name'"),
        (["seed"], "has no '='"),
        (["seed=[1,"], "no JSON list"),
    ],
)
def test_a_sweep_that_makes_no_sense_queues_nothing(
    workspace: Workspace, settings: list[str], words: str
) -> None:
    with pytest.raises(BadInput, match=words):
        plan(workspace, START, settings)


def test_one_bad_value_stops_all(workspace: Workspace) -> None:
    with pytest.raises(BadRecipe, match="batch_size"):
        plan(workspace, START, ["batch_size=8,0"])


def test_the_table_shows_the_best_of_those_that_are_done(workspace: Workspace) -> None:
    recipes = [START.model_copy(update={"batch_size": size}) for size in (8, 16, 32)]
    values = tuple({"batch_size": str(one.batch_size)} for one in recipes)
    done = {"status": JobStatus.SUCCEEDED}
    outcome: dict[str, Any] = {"baseline": {"map@100": 0.5}, "model": "x"}
    jobs = [
        put(workspace, "a", recipes[0], result={**outcome, "best": {"map@100": 0.6}}, **done),
        put(workspace, "b", recipes[1], result={**outcome, "best": {"map@100": 0.7}}, **done),
        put(workspace, "c", recipes[2], status=JobStatus.FAILED, error={"message": "Too large."}),
    ]
    started = Started(("batch_size",), values, tuple(job.id for job in jobs))
    remember(workspace, started)
    assert sweep_of(workspace, "b") == started
    found = results(workspace, started)
    assert found["best"] == "b" and found["succeeded"] is False
    assert [run["best"] for run in found["runs"]] == [0.6, 0.7, None]
    assert found["runs"][2]["error"] == "Too large."
    text = cli_sweep._sweep_table(found).splitlines()
    assert "0.7000 *" in text[3] and "failed" in text[4]
    # A run that was removed leaves its line out.
    workspace.jobs.remove("a")
    assert [run["job"] for run in results(workspace, started)["runs"]] == ["b", "c"]
    put(workspace, "alone", recipes[0])
    with pytest.raises(BadInput, match="no run of a sweep"):
        sweep_of(workspace, "alone")


def test_the_command_queues_runs_from_a_recipe_file(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queued: list[Any] = []

    def submit(recipe: Any) -> Any:
        queued.append(recipe)
        return put(workspace, f"s{len(queued)}", recipe)

    monkeypatch.setattr(workspace.jobs, "submit", submit)
    file = tmp_path / "recipe.json"
    told = {"task": START.task, "name": "x", "recipe": START.model_dump(mode="json")}
    for content in (told, START.model_dump(mode="json")):
        file.write_text(json.dumps(content))
        argv = ["sweep", "--recipe", str(file), "--set", "seed=1,2", "--queue"]
        args = build_parser().parse_args(argv)
        found, text = args.command(workspace, args)
        assert [run["values"] for run in found["runs"]] == [{"seed": "1"}, {"seed": "2"}]
        assert "tuned-seed-1" in {recipe.name for recipe in queued}
        assert "best map@100" in text
        args = build_parser().parse_args(["sweep", "--show", found["runs"][1]["job"]])
        assert args.command(workspace, args)[0] == found
    assert replace(workspace.jobs.get("s1")).recipe["batch_size"] == 16
