"""First and second stages in one evaluation, with models that are worked out by hand."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from tests.workbench.training.fakes import FakeContext, FakeDatasets, FakeReader
from workbench.comparison.table import build_table, to_csv, to_markdown, to_text
from workbench.errors import BadInput
from workbench.evaluation import job, named, stages
from workbench.models.contract import Contract
from workbench.models.resolve import ResolvedModel
from workbench.prepare import prepare
from workbench.recipes.evaluate import EvaluateRecipe
from workbench.workspace import Workspace

ASKED = 60
#: BM25 puts the short wrong documents before the long right one.
PLAIN: list[Any] = [
    (f"which pet{n} is old", [f"pet{n} and so on it says yes"], []) for n in range(ASKED)
]
WRONG = [f"pet{n} old {m}" for n in range(ASKED) for m in range(3)]
DATA = {"dev": PLAIN, "train": [("unrelated", WRONG, [])]}
OWN = [(query, right, WRONG[3 * n : 3 * n + 3]) for n, (query, right, _) in enumerate(PLAIN)]


def numbers(text: str) -> NDArray[np.float32]:
    return np.array([f"pet{n} " in text + " " for n in range(ASKED)], np.float32)


class Embedding:
    """Finds the pet, and the right document first."""

    contract = Contract()

    def encode(self, texts: Any, role: str, *, progress: Any = None, stop: Any = None) -> Any:
        return np.stack([numbers(text) * (1 + ("yes" in text)) for text in texts])


class Reranker:
    """Scores by whether the text says yes."""

    contract = Contract(kind="reranker")
    sign = 1.0

    def score(self, queries: Any, documents: Any, pairs: Any, **more: Any) -> NDArray[np.float32]:
        more["stop"]()
        more["progress"](len(pairs), len(pairs))
        return self.sign * np.array(["yes" in documents[d] for _, d in pairs], np.float32)


class Wrong(Reranker):
    """The other way round."""

    sign = -1.0


class Late:
    """Token vectors are one per text here."""

    contract = Contract(kind="late-interaction")

    def encode(self, texts: Any, role: str, *, stop: Any = None) -> list[Any]:
        return [(numbers(text) * (1 + ("yes" in text)))[None, :] for text in texts]

    def max_sim(self, queries: Any, documents: Any) -> NDArray[np.float32]:
        return np.concatenate(queries) @ np.concatenate(documents).T

    def score(self, queries: Any, documents: Any, pairs: Any, **more: Any) -> NDArray[np.float32]:
        asked, texts = (np.concatenate(self.encode(one, "")) for one in (queries, documents))
        return np.array([asked[q] @ texts[d] for q, d in pairs], np.float32)


MODELS: dict[str, Any] = {
    "embed": Embedding,
    "right": Reranker,
    "wrong": Wrong,
    "late": Late,
}
Make = Callable[[dict[str, Any]], FakeContext]


@pytest.fixture
def make(home: Any, monkeypatch: pytest.MonkeyPatch) -> Make:
    def resolve(_: Any, name: str) -> ResolvedModel:
        return ResolvedModel(name, f"/{name}", MODELS[name].contract, None)

    for module in (named, stages):
        monkeypatch.setattr(module, "resolve", resolve)
    monkeypatch.setattr(stages, "load", lambda recipe, context, one: MODELS[one.name]())
    # These have no files whose digest could tell them apart.
    monkeypatch.setattr(stages, "with_cache", lambda model, *_: model)

    def context(splits: dict[str, Any]) -> FakeContext:
        workspace = Workspace.open(home)
        workspace.__dict__["datasets"] = FakeDatasets(FakeReader(splits))
        return FakeContext(workspace, home / "jobs" / "job00001")

    return context


def recipe(models: list[str], **values: Any) -> EvaluateRecipe:
    return EvaluateRecipe(dataset="pets", split="dev", models=models, **values)


def evaluated(context: FakeContext, models: list[str], **values: Any) -> dict[str, Any]:
    result = job.run(recipe(models, **values), context)
    assert json.loads(json.dumps(result)) == result
    return result


def names(result: dict[str, Any]) -> list[str]:
    return [row["model"] for row in result["rows"]]


def verdicts(result: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {one["model"]: (one["against"], one["verdict"]) for one in result["comparisons"]}


def test_rerankers_order_what_each_first_stage_found(make: Make) -> None:
    context = make(DATA)
    result = evaluated(context, ["bm25", "embed"], rerankers=["right", "wrong"], candidates=4)
    assert names(result) == [
        *("bm25", "bm25, first 4", "bm25 + right", "bm25 + wrong"),
        *("embed", "embed, first 4", "embed + right", "embed + wrong"),
    ]
    rows = {row["model"]: row for row in result["rows"]}
    assert rows["bm25"]["map@100"] == pytest.approx(0.25)
    assert rows["bm25 + right"]["map@100"] == rows["embed"]["map@100"] == 1.0
    searched = [row["searched"] for row in result["rows"]]
    assert searched[:4] == ["all documents", *["top 4 of bm25"] * 3]
    assert searched[4:] == ["all documents", *["top 4 of embed"] * 3]
    assert verdicts(result) == {
        "bm25 + right": ("bm25, first 4", "better than the first stage"),
        "bm25 + wrong": ("bm25, first 4", "no better than the first stage"),
        "embed": ("bm25", "better"),
        "embed + right": ("embed, first 4", "no better than the first stage"),
        "embed + wrong": ("embed, first 4", "worse than the first stage"),
    }
    assert context.messages[-1].endswith("embed + wrong")
    kept = [context.workspace.evaluations.get(id) for id in result["evaluations"]]
    assert [one.model for one in kept] == names(result)
    run = pq.read_table(context.workspace.path(kept[2].path) / "run.parquet")
    assert run.num_rows == ASKED * 4


def test_the_table_says_it_in_every_form(make: Make) -> None:
    result = evaluated(make(DATA), ["embed"], rerankers=["wrong"], candidates=4)
    table = build_table(result)
    assert table.staged
    for drawn in (to_text(table), to_markdown(table)):
        assert "worse than the first stage" in drawn and "top 4 of embed" in drawn
        assert "to embed, first 4: -" in drawn
        assert "512 / 512" in drawn and "of a document at most" in drawn
    head, first, *_ = to_csv(table).splitlines()
    assert head.endswith("verdict,searched,p_holm,query_max_len,passage_max_len")
    assert first.endswith(",512,512")


def test_a_reranker_alone_stands_after_its_first_stage(make: Make) -> None:
    result = evaluated(make(DATA), ["right", "late"], candidates=3, exact_documents=10)
    assert names(result) == ["bm25, first 3", "right", "late"]
    assert {row["searched"] for row in result["rows"]} == {"top 3 of bm25"}
    assert set(verdicts(result)) == {"right", "late"}
    assert verdicts(result)["right"][0] == "bm25, first 3"
    by_model = evaluated(make(DATA), ["right"], candidates=3, first_stage="embed")
    assert names(by_model) == ["embed, first 3", "right"]
    assert build_table(by_model).staged


def test_late_interaction_searches_everything_where_it_can(make: Make) -> None:
    result = evaluated(make(DATA), ["embed", "late"])
    assert names(result) == ["embed", "late"]
    assert [row["searched"] for row in result["rows"]] == ["all documents"] * 2
    values = [[row["map@100"] for row in result["rows"]], [1.0, 1.0]]
    assert values[0] == values[1]
    assert verdicts(result) == {"late": ("embed", f"not distinguishable on {ASKED} queries")}


def test_own_candidates_and_the_queries_without(make: Make) -> None:
    context = make({"dev": [*OWN, ("alone", ["nothing else"], [])]})
    result = evaluated(context, ["embed", "wrong"], candidates=4)
    assert names(result) == ["embed", "given order", "wrong"]
    assert [row["queries"] for row in result["rows"]] == [ASKED + 1, ASKED, ASKED]
    assert result["rows"][2]["searched"] == "the query's own candidates"
    assert verdicts(result)["wrong"] == ("given order", "worse than the first stage")
    assert "irrelevant candidate in the data: 1" in context.notes[0]


def test_what_cannot_be_is_refused_at_the_click(make: Make) -> None:
    workspace = make(DATA).workspace
    ready = prepare(recipe(["BM25", "bm25", "embed"], first_stage=" Auto "), workspace)
    assert ready.models == ["bm25", "embed"] and ready.first_stage == "auto"
    with pytest.raises(BadInput, match="no first stage"):
        prepare(recipe(["right"], rerankers=["right"]), workspace)
    for second in ("embed", "bm25"):
        with pytest.raises(BadInput, match="cannot be a second stage"):
            prepare(recipe(["bm25"], rerankers=[second]), workspace)
    with pytest.raises(BadInput, match="cannot find candidates"):
        prepare(recipe(["right"], first_stage="late"), workspace)


def test_what_shows_only_in_the_run_is_refused_there(make: Make) -> None:
    with pytest.raises(BadInput, match="no first stage"):
        evaluated(make(DATA), ["right"], rerankers=["right"])
    with pytest.raises(BadInput, match="cannot be a second stage"):
        evaluated(make(DATA), ["bm25"], rerankers=["embed"])
    with pytest.raises(BadInput, match="cannot find candidates"):
        evaluated(make(DATA), ["right"], first_stage="late")
