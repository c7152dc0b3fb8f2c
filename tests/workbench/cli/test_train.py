"""``train``: the recipe that options, presets and old commands make together."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.storage import make
from tests.ui.kit.test_learning_curve import MEASURED
from tests.workbench.cli.test_main import write
from tests.workbench.commands import examples
from tests.workbench.comparison.test_trained import AUTO, WRITTEN
from tests.workbench.training.fakes import FakeContext, save_decoder, save_tiny_model
from workbench.cli import train
from workbench.cli.main import build_parser
from workbench.cli.running import words
from workbench.errors import BadInput, BadRecipe, ModelNotFound, WorkbenchError
from workbench.jobs.suggested import fitting
from workbench.recipes.curve import LearningCurveRecipe
from workbench.recipes.decided import DECISIONS, decidable
from workbench.recipes.train import TrainRecipe
from workbench.recipes.train_kinds import TrainRerankerRecipe
from workbench.workspace import Workspace


@pytest.fixture
def workspace(home: Path) -> Iterator[Workspace]:
    opened = Workspace.open(home)
    yield opened
    opened.close()


def recipe(workspace: Workspace, *argv: str) -> TrainRecipe:
    return train.read_recipe(workspace, build_parser().parse_args(["train", *argv]))


def test_the_kind_decides_the_recipe(workspace: Workspace) -> None:
    made = recipe(workspace, "--kind", "reranker", "--dataset", "d", "--set", "objective=listnet")
    assert isinstance(made, TrainRerankerRecipe)
    assert made.objective == "listnet"
    quick = recipe(workspace, "--kind", "late-interaction", "--dataset", "d", "--preset", "quick")
    assert quick.batch_size == 16


def test_options_of_all_kinds_are_accepted_and_checked(workspace: Workspace) -> None:
    made = recipe(workspace, "--kind", "reranker", "--dataset", "d", "--objective", "bce")
    assert made.kind == "reranker"
    with pytest.raises(BadRecipe, match="'reranker' has no field 'symmetric'"):
        recipe(workspace, "--kind", "reranker", "--dataset", "d", "--symmetric")
    with pytest.raises(BadRecipe, match="objective"):
        recipe(workspace, "--dataset", "d", "--objective", "bce")
    with pytest.raises(BadRecipe, match="method"):
        recipe(workspace, "--kind", "late-interaction", "--dataset", "d", "--method", "qlora")


def test_an_old_command_with_later_options(
    workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "old.sh"
    file.write_text(examples.FLAG, encoding="utf-8")
    made = recipe(
        workspace, "--from-command", str(file), "--dataset", "d", "--model", "all-MiniLM-L6-v2",
        "--set", "batch_size=4",
    )  # fmt: skip
    assert (made.dataset, made.model, made.batch_size) == ("d", "all-MiniLM-L6-v2", 4)
    assert made.query_max_len == 64
    assert "train_group_size 2: " in capsys.readouterr().err


def rows(split: str, names: tuple[str, ...]) -> list[dict[str, object]]:
    """Queries of one split with their texts under these names."""
    query, positive, *negative = names
    return [
        {query: f"which cat {split} {n}", positive: f"here is cat {split} {n}"}
        | {name: [f"here is dog {n}", f"here is owl {n}"] for name in negative}
        for n in range(6)
    ]


#: Command, the files it names, their columns, and which tiny model stands in for its own.
OLD = [
    (examples.FLAG, ["toy_finetune_data.jsonl"], ("query", "pos", "neg"), "bert"),
    (examples.EMBEDRAG, ["train_data.jsonl"], ("query", "pos", "neg"), "qwen2"),
    (examples.AUTOTRAIN, ["data/train.jsonl", "data/dev.jsonl"], ("anchor", "positive"), "bert"),
    (
        examples.AUTOTRAIN.replace("anchor", "frage").replace(": positive", ": antwort"),
        ["data/train.jsonl", "data/dev.jsonl"],
        ("frage", "antwort"),
        "",
    ),
]


@pytest.mark.slow  # Each imports files in a worker process; three train a tiny model for a step.
@pytest.mark.parametrize(
    ("command", "files", "names", "base"), OLD, ids=["flag", "embedrag", "autotrain", "mapped"]
)
def test_an_old_command_brings_its_data_and_runs(
    command: str, files: list[str], names: tuple[str, ...], base: str,
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from workbench.training.task import run

    folder = tmp_path / "work"
    (folder / "data").mkdir(parents=True)
    monkeypatch.chdir(folder)
    for file in files:
        write(folder / file, rows(Path(file).stem, names))
    monkeypatch.setattr("sys.stdin", io.StringIO(command))
    model = "all-MiniLM-L6-v2"
    if base:
        made = tmp_path / "model"
        model = str(save_tiny_model(made) if base == "bert" else save_decoder(made, base))
    made_of = recipe(workspace, "--from-command", "-", "--model", model, "--set", "max_steps=1")
    about = workspace.datasets.get(made_of.dataset).summary
    assert about["queries"] == 6 * len(files)
    if len(files) == 2:
        assert (made_of.dataset, about["splits"]["dev"]) == ("autotrain-pair", 6)
    if base:
        context = FakeContext(workspace, tmp_path / "job")
        result = run(made_of, context)  # type: ignore[arg-type]
        assert result["steps"] == 1 and workspace.models.get(result["model"]).kind == "embedding"
        assert result["method"] == ("qlora" if base == "qwen2" else "full")


@pytest.mark.parametrize(
    ("argv", "error"),
    [
        (["--model", "none-such"], ModelNotFound),
        (["--model", "all-MiniLM-L6-v2", "--set", "epochs=-1"], BadRecipe),
    ],
)
def test_what_is_wrong_stops_before_the_import(
    workspace: Workspace, tmp_path: Path, argv: list[str], error: type[WorkbenchError]
) -> None:
    file = tmp_path / "old.sh"
    file.write_text(examples.FLAG, encoding="utf-8")
    with pytest.raises(error):
        recipe(workspace, "--from-command", str(file), *argv)
    assert workspace.jobs.list() == []


def test_a_dev_file_must_say_that_it_is_one(workspace: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "old.sh"
    file.write_text("python t.py --train_data a.jsonl --dev_data b.jsonl --fp16 False")
    with pytest.raises(BadInput, match="would be read as training rows"):
        recipe(workspace, "--from-command", str(file), "--model", "all-MiniLM-L6-v2")
    with pytest.raises(BadInput, match="cannot be read"):
        recipe(workspace, "--from-command", str(tmp_path / "none.sh"))


def test_help_shows_no_default_that_holds_for_one_kind_only() -> None:
    fields = {spec.name: spec for spec in train.all_fields()}
    assert fields["batch_size"].default is None
    assert fields["query_max_len"].default == 64
    assert {"contrastive", "bce", "listnet"} <= set(fields["objective"].choices)


def test_a_clone_that_fits(workspace: Workspace) -> None:
    job = workspace.store.jobs.insert(
        make.job(
            "oom",
            task="train-embedding",
            recipe={"dataset": "d", "name": "mine", "batch_size": 32},
            error={
                "suggestions": [
                    {"changes": {"gradient_checkpointing": True}, "sentence": "More time."},
                    {"changes": {"batch_size": 8, "gradient_accumulation": 4}, "sentence": "Less."},
                ]
            },
        )
    )
    first = recipe(workspace, "--clone", job.id, "--fitting")
    assert (first.gradient_checkpointing, first.batch_size) == (True, 32)
    second = recipe(workspace, "--clone", job.id, "--fitting", "2", "--set", "epochs=3")
    assert (second.batch_size, second.gradient_accumulation, second.epochs) == (8, 4, 3)
    with pytest.raises(BadInput, match="no suggestion 3"):
        recipe(workspace, "--clone", job.id, "--fitting", "3")
    assert recipe(workspace, "--clone", job.id).batch_size == 32


def test_a_clone_that_fits_decides_all_but_what_is_changed(workspace: Workspace) -> None:
    changes = {"batch_size": 8, "gradient_accumulation": 4}
    decides = {"dataset": "d", "auto": "max_steps,batch_size,learning_rate"}
    job = workspace.store.jobs.insert(
        make.job(
            "decides",
            task="train-embedding",
            recipe=decides,
            error={"suggestions": [{"changes": changes, "sentence": "Less."}]},
        )
    )
    for again in (recipe(workspace, "--clone", job.id, "--fitting"), fitting(workspace, job, 1)):
        assert isinstance(again, TrainRecipe)
        assert (again.batch_size, again.gradient_accumulation) == (8, 4)
        assert again.decides == ("max_steps", "learning_rate")


def test_options_about_another_option(workspace: Workspace) -> None:
    with pytest.raises(BadInput, match="Name it with --clone"):
        recipe(workspace, "--dataset", "d", "--fitting", "1")
    with pytest.raises(BadInput, match="--check --measure"):
        recipe(workspace, "--dataset", "d", "--measure")


@pytest.mark.parametrize(
    ("kind", "verdict", "said"),
    [
        ("reranker", "below-first-stage", "0.389 by the first stage (bm25), 0.056 untrained, "
         "0.161 after: worse than the first stage."),
        ("reranker", "", "0.161 after: better than the first stage."),
        ("late-interaction", "no-better", "0.161 after: no better than untrained."),
        ("embedding", "no-better", "0.389 before, 0.161 after: no better than the original."),
    ],
)  # fmt: skip
def test_a_result_says_what_was_to_be_beaten(kind: str, verdict: str, said: str) -> None:
    result = {
        "model": "mine", "steps": 3, "seconds": 2.0, "kind": kind, "metric": "map@100",
        "baseline": {"map@100": 0.389}, "untrained": {"map@100": 0.056},
        "best": {"map@100": 0.161}, "baseline_name": "bm25", "verdict": verdict,
        "beats_base": not verdict,
    }  # fmt: skip
    assert words(result).endswith(said)


def test_presets_are_those_of_the_kind(workspace: Workspace) -> None:
    pictures = ("--kind", "image-text", "--dataset", "d", "--preset", "scratch")
    assert recipe(workspace, *pictures).learning_rate == 2e-3
    with pytest.raises(BadRecipe, match="no preset 'scratch'"):
        recipe(workspace, "--dataset", "d", "--preset", "scratch")


def test_a_run_that_decided_says_what_and_by_whom() -> None:
    lines = words(AUTO).splitlines()
    assert lines[1].startswith("Better than the original: MAP@100 0.636 against 0.605, +0.031")
    assert lines[2].startswith("Each query was judged by a model that was trained without it")
    assert "59% of your tokens are unknown to this model." in lines
    looked = [line.split() for line in lines if line.startswith(("BM25", "256"))]
    assert looked == [["256", "0.944"], ["BM25", "0.980"]]
    [chosen] = [line for line in lines if line.startswith("Serving length")]
    assert chosen.split()[2:4] == ["256", "measured"] and chosen.endswith("at 128.")
    assert "on dev" not in words(AUTO)
    assert any(line.startswith("Expected from the look: about +0.04") for line in lines)


def test_the_best_of_many_looks_is_no_estimate() -> None:
    said = words({**WRITTEN, "looks": 9})
    assert "0.605 before, 0.636 after: better." in said and "the highest of 9" in said


def test_without_a_word_about_how_long_it_is_decided_by_measuring(
    workspace: Workspace, tmp_path: Path
) -> None:
    assert recipe(workspace, "--dataset", "d").decides == DECISIONS
    given = recipe(workspace, "--dataset", "d", "--learning-rate", "1e-4")
    assert given.learning_rate == 1e-4 and "learning_rate" not in given.decides
    assert "max_steps" in given.decides
    for how in (["--epochs", "1"], ["--set", "max-steps=9"], ["--set", "batch_size=8"]):
        made = recipe(workspace, "--dataset", "d", *how)
        assert (made.decides, made.scheduler, made.average_weights) == ((), "linear", 0)
    file = tmp_path / "recipe.json"
    file.write_text('{"dataset": "d"}', encoding="utf-8")
    assert recipe(workspace, "--recipe", str(file)).decides == ()
    assert recipe(workspace, "--dataset", "d", "--preset", "quick").decides == ("serving_length",)
    for kind in ("reranker", "late-interaction"):
        made = recipe(workspace, "--kind", kind, "--dataset", "d")
        assert made.decides == decidable(type(made))
    assert recipe(workspace, "--kind", "image-text", "--dataset", "d").epochs == 1.0


def test_a_clone_decides_what_its_run_did(workspace: Workspace) -> None:
    values = {"dataset": "d", "auto": "serving_length,learning_rate"}
    job = workspace.store.jobs.insert(make.job("auto", task="train-embedding", recipe=values))
    assert recipe(workspace, "--clone", job.id).decides == ("serving_length", "learning_rate")
    given = recipe(workspace, "--clone", job.id, "--learning-rate", "1e-4")
    assert given.decides == ("serving_length",)
    assert recipe(workspace, "--clone", job.id, "--epochs", "3").decides == ()


# -- learn-curve ----------------------------------------------------------------------------------


def test_a_curve_s_options_are_the_recipes_fields() -> None:
    words = ["learn-curve", "--dataset", "tea", "--shares", "50,100", "--folds", "2"]
    args = build_parser().parse_args(words)
    given = {name for name in vars(args) if "shares" in name or "folds" in name}
    assert len(given) == 2


def test_a_curve_in_words() -> None:
    said = train.curve_words({**MEASURED, "model": "base"})
    assert said.splitlines()[2].split() == ["base", "0", "0.500"]
    assert "100%   400   0.570    0.550 0.570 0.590  +0.070  [+0.050, +0.090]" in said
    assert "Hardly anything is left to win." in said
    assert said.endswith("The curve still rises: more labels like these help.")


@pytest.mark.parametrize("shares", ["100", "", "0, 100", "50, 101", "a, b", "25, nan, 100"])
def test_shares_that_make_no_curve_are_refused(shares: str) -> None:
    with pytest.raises(BadRecipe, match="two to 8 shares in percent"):
        LearningCurveRecipe.read({"dataset": "tea", "shares": shares})


def test_shares_are_written_one_way() -> None:
    recipe = LearningCurveRecipe.read({"dataset": "tea", "shares": "100%, 12.5 50,50"})
    assert recipe.shares == "12.5, 50, 100"
    assert recipe.percent == [12.5, 50, 100]
