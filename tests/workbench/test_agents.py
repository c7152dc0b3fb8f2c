"""What agents are told, from records: of this data set and no other, by models of the workspace."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from storage.records import JobStatus
from tests.storage import make
from workbench.agents import LONGEST_TEXT, LONGEST_VALUE, Tools
from workbench.errors import ModelNotFound, NotFound
from workbench.search.protocol import Hit, SearchResult
from workbench.workspace import Workspace


class FakeSearch:
    """Finds what it is told to, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str | None] = []
        self.hits: list[Hit] = []
        self.where = ""

    def search(self, index: str, query: str, _top_k: int, **about: Any) -> SearchResult:
        self.asked.append(about["reranker"])
        self.where = about["where"]
        return SearchResult(self.hits, {}, "MiniLM", index, query)


@pytest.fixture
def search() -> FakeSearch:
    return FakeSearch()


@pytest.fixture
def opened(home: Path) -> Iterator[Workspace]:
    """The data set 'pets', compared once, and a model 'orders'."""
    workspace = Workspace.open(home)
    workspace.store.datasets.insert(*make.dataset("d1", "pets"))
    workspace.store.models.insert(make.model("m1", "orders", kind="reranker"))
    put_job(workspace, "one", "d1")
    yield workspace
    workspace.close()


@pytest.mark.parametrize(
    ("summary", "before"),
    [
        ({"untrained": {"map@100": 0.2}, "baseline": {"map@100": 0.3}}, {"map@100": 0.2}),
        ({"baseline": {"map@100": 0.3}}, {"map@100": 0.3}),
        ({"untrained": True}, None),
        ({}, None),
    ],
)
def test_what_was_not_measured_before_training_is_not_told(
    opened: Workspace, summary: dict[str, Any], before: Any
) -> None:
    """Models of random weights once said 'untrained': true."""
    opened.store.models.insert(make.model("m2", "sees", kind="image-text", summary=summary))
    told = {one["name"]: one["before"] for one in tools(opened).list_models()}
    assert told == {"orders": None, "sees": before}


def test_hits_come_with_their_own_fields_and_long_values_are_cut(
    opened: Workspace, search: FakeSearch
) -> None:
    fields = {"year": 2020, "tags": ["a", "b"], "abstract": "x" * 2_000, "many": [7] * 2_000}
    search.hits = [
        Hit("d1", 0, 0.5, "", "y" * 3_000, fields=fields),
        Hit("d2", 1, 0.4, "", "a caption", picture="pictures/2.png"),
    ]
    text, picture = tools(opened, search).search("any", "q", where="year >= 2020")["hits"]
    assert search.where == "year >= 2020"
    assert text["fields"] == {
        "year": 2020,
        "tags": ["a", "b"],
        "abstract": "x" * LONGEST_VALUE,
        "many": ("[" + "7," * 2_000)[:LONGEST_VALUE],
    }
    assert len(text["text"]) == LONGEST_TEXT and "picture" not in text
    assert picture["picture"] == "pictures/2.png" and picture["fields"] == {}


def put_job(workspace: Workspace, id: str, dataset: str, split: str = "test") -> None:
    rows = [{"model": id, "queries": 60, "map@100": 0.5}]
    result = {"dataset": "pets", "split": split, "rows": rows, "comparisons": []}
    recipe = {"dataset": "pets", "split": split, "models": [id]}
    done = {"status": JobStatus.SUCCEEDED, "result": result, "recipe": recipe}
    workspace.store.jobs.insert(make.job(id, task="evaluate", **done))
    about = {"job_id": id, "dataset_id": dataset, "split": split}
    workspace.store.evaluations.insert(make.evaluation(f"e-{id}", **about))


def tools(workspace: Workspace, search: Any = None) -> Tools:
    return Tools(workspace, search)


def test_the_newest_comparison_of_the_data_set_is_shown(opened: Workspace) -> None:
    assert tools(opened).compare("pets")["job"] == "one"
    with pytest.raises(NotFound, match="dev queries of 'pets'"):
        tools(opened).compare("pets", "dev")
    put_job(opened, "two", "d1", "dev")
    assert tools(opened).compare("pets", "dev")["rows"][0]["model"] == "two"


def test_what_another_data_set_of_the_name_measured_is_not_shown(opened: Workspace) -> None:
    opened.datasets.remove("pets")
    opened.store.datasets.insert(*make.dataset("d2", "pets"))
    with pytest.raises(NotFound, match="Nothing was compared"):
        tools(opened).compare("pets")
    put_job(opened, "two", "d2")
    assert tools(opened).compare("pets")["job"] == "two"


def test_only_models_of_the_workspace_order_hits(
    opened: Workspace, search: FakeSearch, tmp_path: Path
) -> None:
    found = tools(opened, search)
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    for name in (str(folder), "nobody/x", "order"):
        with pytest.raises(ModelNotFound):
            found.search("one", "a question", reranker=name)
    assert search.asked == []
    for name in ("", " ", "orders"):
        found.search("one", "a question", reranker=name)
    assert search.asked == [None, None, "orders"]


def test_indexes_are_listed_whatever_became_of_their_models(opened: Workspace) -> None:
    opened.store.indexes.insert(make.index("i1", "animals"))
    (listed,) = tools(opened).list_indexes()
    about = {name: listed[name] for name in ("name", "dataset", "version", "documents", "model")}
    assert about == {
        "name": "animals",
        "dataset": "pets",
        "version": 1,
        "documents": 20,
        "model": "MiniLM",
    }
    assert all(one["indexes"] == [] for one in tools(opened).list_models())
