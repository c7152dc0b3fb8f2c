"""Mining end to end with tiny models: the proposal, what is accepted of it, and training on it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from storage.records import JobStatus
from tests.storage import make
from tests.workbench.data.fakes import bring, lines
from tests.workbench.training.fakes import FakeContext, animal_splits, save_tiny_model
from workbench.data.reader import DatasetReader
from workbench.data.versions import Changes, new_version, versions
from workbench.errors import BadInput
from workbench.mining.proposal import NEGATIVE, POSITIVE, Proposal, accept, proposal_of
from workbench.prepare import prepare
from workbench.recipes.mine import MineRecipe
from workbench.recipes.train import TrainEmbeddingRecipe
from workbench.workspace import Workspace

# Imports torch and trains tiny models.
pytestmark = pytest.mark.slow


@pytest.fixture
def workspace(home: Path) -> Iterator[Workspace]:
    opened = Workspace.open(home)
    yield opened
    opened.close()


@pytest.fixture
def reader(workspace: Workspace, tmp_path: Path) -> DatasetReader:
    """Animals: 60 training queries (the first with two relevant documents), 24 for dev."""
    splits = animal_splits(60, 24)
    files = []
    for name, found in splits.items():
        rows = [{"query": q, "pos": pos, "neg": neg} for q, pos, neg in found]
        if name == "train":
            rows[0]["pos"].append(rows[1]["pos"][0])
        files.append(lines(tmp_path / f"{name}.jsonl", rows))
    return bring(workspace, *files, name="pets", test_share=0)[1]


def mine(workspace: Workspace, **values: Any) -> Proposal:
    """Run the task as a worker would, and put its job on record."""
    from workbench.mining.mine import run

    id = f"mine{len(workspace.jobs.list()):06}"
    shared = {"dataset": "pets", "precision": "fp32", "device": "cpu", "use_cache": False}
    recipe = prepare(MineRecipe.read({**shared, **values}), workspace)
    folder = workspace.jobs.folder(id)
    folder.mkdir(parents=True)
    result = run(recipe, FakeContext(workspace, folder))
    done = {"status": JobStatus.SUCCEEDED, "result": result}
    job = make.job(id, task="mine", recipe=recipe.model_dump(mode="json"), **done)
    workspace.store.jobs.insert(job)
    return proposal_of(workspace, id)


def links(proposal: Proposal, part: str) -> dict[tuple[int, int], float | None]:
    return {
        (row["query"], row["document"]): row["score"]
        for row in proposal.table.to_pylist()
        if row["part"] == part
    }


def judged(reader: DatasetReader) -> set[tuple[int, int]]:
    table = reader.judgments("train")
    return set(zip(table["query"].to_pylist(), table["document"].to_pylist(), strict=True))


def candidates(reader: DatasetReader) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = reader.candidates("train").to_pylist()
    return found


def test_as_sentence_transformers_does(workspace: Workspace, tmp_path: Path, tiny: Path) -> None:
    """The same model, rules and texts: the same negatives with the same scores."""
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.util import mine_hard_negatives

    pairs = [(query, positive[0]) for query, positive, _ in animal_splits(60, 0)["train"]]
    rows = [{"query": query, "pos": [positive]} for query, positive in pairs]
    file = lines(tmp_path / "train.jsonl", rows)
    bring(workspace, file, name="pets", dev_share=0, test_share=0)
    rules: dict[str, Any] = {"relative_margin": 0.02, "range_min": 1, "range_max": 30}
    proposal = mine(workspace, model=str(tiny), num_negatives=3, **rules)
    ours = {
        (row.text, one.text): one.score for row in proposal.page(0, 100) for one in row.negatives
    }
    dataset = Dataset.from_dict({"query": [q for q, _ in pairs], "answer": [a for _, a in pairs]})
    model = SentenceTransformer(str(tiny), device="cpu")
    theirs = mine_hard_negatives(
        dataset, model, num_negatives=3, output_scores=True, verbose=False, **rules
    )
    expected = {(one["query"], one["negative"]): one["scores"][1] for one in theirs}
    assert len(expected) > 60 and ours.keys() == expected.keys()
    assert [ours[one] for one in expected] == pytest.approx(list(expected.values()), abs=1e-5)


@pytest.mark.parametrize(
    "values", [{"method": "model"}, {"method": "bm25"}, {"method": "random"}], ids=str
)
def test_a_proposal_changes_nothing_and_names_no_positive(
    values: dict[str, Any], workspace: Workspace, reader: DatasetReader, tiny: Path
) -> None:
    proposal = mine(workspace, model=str(tiny), relative_margin=None, num_negatives=4, **values)
    assert workspace.datasets.get("pets").version == 1 and proposal.accepted is None
    wrong, right = links(proposal, NEGATIVE), links(proposal, POSITIVE)
    assert right.keys() == judged(reader) and not wrong.keys() & right.keys()
    assert proposal.result["negatives"] == len(wrong) > 100
    assert sum(proposal.result["queries_by_negatives"].values()) == proposal.result["queries"]
    scored = values["method"] != "random"
    assert all((score is not None) == scored for score in wrong.values())
    assert {row.split for row in proposal.page(0, 100)} == {"train"}


def test_margins_hold_against_the_lowest_positive(
    workspace: Workspace, reader: DatasetReader, tiny: Path
) -> None:
    strict = mine(workspace, model=str(tiny), relative_margin=0.05)
    right, wrong = links(strict, POSITIVE), links(strict, NEGATIVE)
    lowest: dict[int, float] = {}
    for (query, _), score in right.items():
        assert score is not None
        lowest[query] = min(score, lowest.get(query, np.inf))
    assert wrong and strict.result["left_out"]["relative_margin"] > 0
    for (query, _), score in wrong.items():
        assert score is not None and score <= lowest[query] - 0.05 * abs(lowest[query]) + 1e-6
    assert strict.result["above_positive"] == 0 == len(strict.queries(above=True))
    loose = mine(workspace, model=str(tiny), relative_margin=None)
    assert loose.result["above_positive"] > 0
    shown = loose.page(0, 5, above=True)
    assert shown and all(any(one.above for one in row.negatives) for row in shown)


def test_what_is_unticked_is_left_out_and_the_rest_becomes_a_version(
    workspace: Workspace, reader: DatasetReader, tiny: Path
) -> None:
    proposal = mine(workspace, model=str(tiny), relative_margin=None, num_negatives=2)
    first = proposal.page(0, 1)[0]
    gone = (first.query, first.negatives[0].document)
    proposal.tick(*gone)
    assert not proposal.page(0, 1)[0].negatives[0].ticked
    with pytest.raises(BadInput, match="not proposed"):
        proposal.tick(first.query, first.positives[0].document)
    version = accept(workspace, proposal.job.id)
    assert version == workspace.datasets.get("pets").version == 2 == proposal.accepted
    now = {
        (one["query"], one["document"]): one for one in candidates(workspace.datasets.read("pets"))
    }
    given = {(one["query"], one["document"]) for one in candidates(reader)}
    wanted = set(links(proposal, NEGATIVE)) - {gone} | judged(reader) | given
    assert now.keys() | {gone} == wanted | {gone}
    assert (gone in now) == (gone in given)
    # One teacher's scores for all: positives, mined ones, and those the data brought.
    assert all(one["score"] is not None for one in now.values())
    (last,) = versions(workspace, "pets")[1:]
    assert last.lineage[-1]["job"] == proposal.job.id and last.counts["left_out"] == 1
    with pytest.raises(BadInput, match="accepted already"):
        accept(workspace, proposal.job.id)
    with pytest.raises(BadInput, match="accepted already"):
        proposal.tick(*gone)


def test_earlier_ones_stay_or_make_room(
    workspace: Workspace, reader: DatasetReader, tiny: Path
) -> None:
    values: dict[str, Any] = {"model": str(tiny), "relative_margin": None, "num_negatives": 9}
    accept(workspace, mine(workspace, **values).job.id)

    def origins() -> set[str]:
        rows = candidates(workspace.datasets.read("pets"))
        right = judged(reader)
        return {one["origin"] for one in rows if (one["query"], one["document"]) not in right}

    assert origins() == {"given", "mined:tiny"}
    # Mining finds some of the given ones again; they stay what they were.
    given = [one for one in candidates(workspace.datasets.read("pets")) if one["origin"] == "given"]
    assert len(given) == len(candidates(reader)) == 60
    accept(workspace, mine(workspace, method="bm25", earlier="keep", num_negatives=2).job.id)
    assert origins() == {"given", "mined:tiny", "mined:bm25"}
    accept(workspace, mine(workspace, method="random", num_negatives=2).job.id)
    assert origins() == {"given", "mined:random"}
    accept(workspace, mine(workspace, method="random", earlier="all", num_negatives=2).job.id)
    assert origins() == {"mined:random"}


def test_a_data_set_with_other_rows_since_is_refused(
    workspace: Workspace, reader: DatasetReader
) -> None:
    proposal = mine(workspace, method="random")
    new_version(workspace, "pets", Changes(drop_queries=[0]), {"what": "changed", "by": "a test"})
    assert proposal.outdated
    with pytest.raises(BadInput, match="other queries or documents"):
        accept(workspace, proposal.job.id)


def test_random_negatives_for_a_reranker(workspace: Workspace, reader: DatasetReader) -> None:
    """One positive and N negatives per query; the seed decides."""
    drawn = [mine(workspace, method="random", num_negatives=7, seed=seed) for seed in (1, 1, 2)]
    first, again, other = (links(one, NEGATIVE).keys() for one in drawn)
    assert first == again != other
    assert drawn[0].result["queries_by_negatives"] == {"7": 60}
    accept(workspace, drawn[0].job.id)
    rows = workspace.datasets.read("pets").training_rows(negatives=7, seed=0)
    assert all(len(one) == 7 for one in rows["negatives"].to_pylist())


@pytest.mark.parametrize("objective", ["distill-kl", "margin-mse"])
def test_training_by_the_teachers_scores(
    objective: str, workspace: Workspace, reader: DatasetReader, tiny: Path, tmp_path: Path
) -> None:
    from workbench.training.task import run

    teacher = save_tiny_model(tmp_path / "teacher", seed=3)
    proposal = mine(workspace, model=str(teacher), relative_margin=None, num_negatives=3)
    accept(workspace, proposal.job.id)
    folder = tmp_path / "job"
    folder.mkdir()
    recipe = TrainEmbeddingRecipe(
        dataset="pets",
        model=str(tiny),
        name="mine",
        objective=objective,
        negatives=3,
        epochs=2.0,
        batch_size=16,
        learning_rate=5e-3,
        eval_steps=50,
        precision="fp32",
        device="cpu",
    )
    context = FakeContext(workspace, folder)
    run(recipe, context)
    losses = [values["loss"] for _, values in context.of("train")]
    assert np.isfinite(losses).all() and np.mean(losses[-3:]) < np.mean(losses[:3])


def test_a_second_stages_scores_decide_and_are_kept(
    workspace: Workspace, reader: DatasetReader, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reranker that likes documents with a high row number."""
    from workbench.mining import mine as task

    def liking(self: Any, hunt: Any, teacher: Any, queries: Any, documents: Any, _: str) -> Any:
        return documents.astype(np.float32)

    monkeypatch.setattr(task.Miner, "_scores", liking)
    monkeypatch.setattr(task.Miner, "_load", lambda self, name, searches: "r")
    recipe = MineRecipe(
        dataset="pets", method="bm25", reranker="r", absolute_margin=0.0, relative_margin=None
    )
    folder = workspace.jobs.folder("other")
    folder.mkdir(parents=True)
    result = task.run(recipe, FakeContext(workspace, folder))
    job = replace(make.job("other", task="mine"), result=result, status=JobStatus.SUCCEEDED)
    workspace.store.jobs.insert(job)
    proposal = proposal_of(workspace, "other")
    floor = {row["query"]: row["positive_score"] for row in proposal.table.to_pylist()}
    wrong = links(proposal, NEGATIVE)
    assert wrong and result["teacher"] == "r"
    for (query, document), score in wrong.items():
        assert score == document <= floor[query]
    for (_, document), score in links(proposal, POSITIVE).items():
        assert score == document


@pytest.mark.parametrize("kind", ["reranker", "late-interaction"])
def test_with_a_real_second_stage(
    kind: str, workspace: Workspace, reader: DatasetReader, tiny: Path, tmp_path: Path
) -> None:
    """Scores in the proposal are those that the model gives when asked for the pairs alone."""
    from workbench.models.load import load_model
    from workbench.models.locate import locate

    name = str(scorer(kind, tmp_path / kind, tiny))
    proposal = mine(workspace, method="bm25", reranker=name, range_max=8, relative_margin=None)
    found = links(proposal, NEGATIVE) | links(proposal, POSITIVE)
    model = load_model(locate(workspace, name), device="cpu", precision="fp32")
    queries = reader.queries("train")["text"].to_pylist()
    documents = reader.documents()["text"].to_pylist()
    pairs = np.array(list(found), np.int64)
    assert len(pairs) > 60
    assert list(found.values()) == pytest.approx(model.score(queries, documents, pairs), abs=1e-4)
    accept(workspace, proposal.job.id)
    rows = candidates(workspace.datasets.read("pets"))
    assert all(one["score"] is not None for one in rows)


def scorer(kind: str, folder: Path, tiny: Path) -> Path:
    """A tiny model with a score head, or with a vector per token."""
    import torch
    from sentence_transformers import MultiVectorEncoder
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    plain = str(tiny.with_name(f"{tiny.name}-plain"))
    torch.manual_seed(5)
    if kind == "late-interaction":
        MultiVectorEncoder(plain, device="cpu").save_pretrained(str(folder))
        return folder
    config = BertConfig.from_pretrained(plain, num_labels=1)
    BertForSequenceClassification(config).save_pretrained(str(folder))
    AutoTokenizer.from_pretrained(plain).save_pretrained(str(folder))
    return folder


def test_wrong_names_stop_at_the_click(workspace: Workspace, reader: DatasetReader) -> None:
    with pytest.raises(BadInput, match="no test queries"):
        prepare(MineRecipe(dataset="pets", method="bm25", split="test"), workspace)
    with pytest.raises(BadInput, match="neither a reranker"):
        values = {"dataset": "pets", "method": "random", "reranker": "all-MiniLM-L6-v2"}
        prepare(MineRecipe.read(values), workspace)
    with pytest.raises(BadInput, match="no room") as told:
        prepare(MineRecipe(dataset="pets", range_max=3, num_negatives=4), workspace)
    assert "range_max" in told.value.details["fields"]
    assert prepare(MineRecipe(dataset="pets", model="BM25"), workspace).method == "bm25"
