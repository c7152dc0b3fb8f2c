"""An index over a real (tiny) model's vectors: out of date, said so, and brought up to date."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest

from tests.workbench.models import tiny
from tests.workbench.models.fakes import FakeContext
from workbench.data.edit import Changes
from workbench.data.versions import new_version
from workbench.errors import BadInput, DatasetNotFound, JobCancelled
from workbench.jobs.outcome import made
from workbench.prepare import prepare
from workbench.recipes.data import AddModelRecipe, ImportRecipe
from workbench.recipes.evaluate import IndexRecipe, IndexUpdateRecipe
from workbench.search.staleness import stale
from workbench.workspace import Workspace

# Importing sentence-transformers takes 6 to 11 seconds.
pytestmark = pytest.mark.slow

DOCUMENTS = 300


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Workspace]:
    from workbench.data.job import run_import
    from workbench.models.jobs import run_add
    from workbench.prepare import prepare

    rng = np.random.default_rng(0)
    words = ["fox", "dog", "cat", "hen", "owl", "runs", "sits", "eats", "the", "red", "old"]
    lines = [
        {
            "id": f"n{number}",
            "text": " ".join(rng.choice(words, 9)) + f" {number}",
            "year": 2000 + number % 25,
            "lang": "en" if number % 3 else "de",
        }
        for number in range(DOCUMENTS)
    ]
    path = tmp_path / "corpus.jsonl"
    path.write_bytes(b"\n".join(orjson.dumps(line) for line in lines))
    workspace = Workspace.open(tmp_path / "home")
    context = FakeContext(workspace)
    recipe = ImportRecipe(paths=[str(path)], name="notes")
    run_import(prepare(recipe, workspace, False), context)
    run_add(AddModelRecipe(source=str(tiny.bert(tmp_path / "m", seed=0)), name="one"), context)
    yield workspace
    workspace.close()


def index(workspace: Workspace, name: str, **values: Any) -> dict[str, Any]:
    from workbench.search.making import run_build

    recipe = IndexRecipe(dataset="notes", model="one", name=name, **values)
    return run_build(prepare(recipe, workspace, False), FakeContext(workspace))


def update(workspace: Workspace, name: str, **values: Any) -> dict[str, Any]:
    from workbench.search.update import run

    recipe = IndexUpdateRecipe(index=name, **values)
    return run(prepare(recipe, workspace, False), FakeContext(workspace))


def codes(workspace: Workspace, name: str) -> list[str]:
    return [one.code for one in stale(workspace, workspace.indexes.get(name))]


def found(workspace: Workspace, name: str, query: str, **more: Any) -> list[str]:
    from workbench.search.engine import Engine

    return [hit.id for hit in Engine(workspace).search([name], query, 10, **more)[0].hits]


def change(workspace: Workspace) -> None:
    """Three documents go, two come; the others move up."""
    fresh = pa.table({"id": ["new1", "new2"], "text": ["a red hen 901", "an old owl 902"]})
    changes = Changes(drop_documents=[0, 5, 250], new_documents=fresh)
    new_version(workspace, "notes", changes, {"what": "changed", "by": "a test"})


@pytest.mark.parametrize("structure", ["flat", "hnsw", "sq8", "binary"])
def test_it_is_brought_up_to_date_as_if_built_anew(opened: Workspace, structure: str) -> None:
    built = index(opened, "old", structure=structure)
    assert (built["structure"], built["documents"], codes(opened, "old")) == (
        structure,
        DOCUMENTS,
        [],
    )
    before = opened.indexes.folder("old")
    change(opened)
    assert codes(opened, "old") == ["data"]
    # Until then it answers for the version it has.
    assert "n5" in found(opened, "old", opened_text(opened, 1, 5))
    result = update(opened, "old")
    assert made(opened.store, opened.home) == result
    assert (result["added"], result["removed"], result["rebuilt"]) == (2, 3, "")
    assert (codes(opened, "old"), opened.indexes.get("old").version) == ([], 2)
    assert not before.exists()
    assert 0 < result["recall@10"] <= 1
    assert result["queries_from"] == "documents"
    index(opened, "fresh", structure=structure)
    for query in ("a red hen 901", "the cat sits", opened_text(opened, 1, 5)):
        if structure in ("flat", "hnsw"):
            assert found(opened, "old", query) == found(opened, "fresh", query)
    # Codes are of the ranges learned first; these tiny vectors differ by little more than that.
    fresh = opened.indexes.get("fresh").summary["recall@10"]
    assert result["recall@10"] == pytest.approx(fresh, abs=0.1)
    assert "new1" in found(opened, "old", "a red hen 901")
    assert "n5" not in found(opened, "old", opened_text(opened, 1, 5))


def opened_text(workspace: Workspace, version: int, row: int) -> str:
    return str(workspace.datasets.read("notes", version).documents_at([row])["text"][0].as_py())


def test_an_open_engine_notices_the_update(opened: Workspace) -> None:
    from workbench.search.engine import Engine

    index(opened, "live")
    engine = Engine(opened)
    assert "new1" not in [hit.id for hit in engine.search(["live"], "a red hen 901", 5)[0].hits]
    change(opened)
    update(opened, "live")
    hits = engine.search(["live"], "a red hen 901", 5)[0].hits
    assert "new1" in [hit.id for hit in hits]
    reader = opened.datasets.read("notes")
    assert reader.documents_at([hit.row for hit in hits])["id"].to_pylist() == [
        hit.id for hit in hits
    ]


def test_documents_are_left_out_and_taken_back(opened: Workspace) -> None:
    index(opened, "some")
    text = opened_text(opened, 1, 7)
    assert "n7" in found(opened, "some", text)
    result = update(opened, "some", leave_out=["n7"])
    assert (result["removed"], result["documents"]) == (1, DOCUMENTS - 1)
    change(opened)
    update(opened, "some")
    assert "n7" not in found(opened, "some", text)
    assert update(opened, "some", take_back=["n7"])["added"] == 1
    assert "n7" in found(opened, "some", text)
    with pytest.raises(BadInput, match="no document 'nobody'"):
        update(opened, "some", leave_out=["nobody"])


def test_judgments_alone_do_not_make_it_stale(opened: Workspace) -> None:
    index(opened, "judged")
    queries = pa.table({"text": ["what does the hen do"], "split": ["test"]})
    changes = Changes(new_queries=queries, add_judgments=[(0, 11, 1)])
    new_version(opened, "notes", changes, {"what": "judged", "by": "a test"})
    assert codes(opened, "judged") == []
    from workbench.search.engine import Engine

    result = Engine(opened).search(["judged"], "what does the hen do", 1000)[0]
    assert result.known_relevant == 1
    assert [hit.id for hit in result.hits if hit.relevant] == ["n11"]


def test_another_contract_or_other_weights_make_it_stale(opened: Workspace) -> None:
    index(opened, "stale")
    model = opened.models.get("one")
    folder = opened.path(model.path)
    contract = json.loads((folder / "contract.json").read_text())
    (folder / "contract.json").write_text(json.dumps({**contract, "query_prompt": "query: "}))
    assert codes(opened, "stale") == ["contract"]
    (folder / "contract.json").write_text(json.dumps(contract))
    assert codes(opened, "stale") == []
    weights = folder / "model.safetensors"
    kept = weights.read_bytes()
    weights.write_bytes(kept[:-4] + b"\x00\x00\x80\x3f")
    assert codes(opened, "stale") == ["model"]
    result = update(opened, "stale")
    assert result["rebuilt"] == "model"
    assert codes(opened, "stale") == []


def test_a_model_or_data_set_that_is_gone_is_said(opened: Workspace) -> None:
    index(opened, "lone")
    record = opened.indexes.get("lone")
    opened.store.models.delete(opened.models.get("one").id)
    assert codes(opened, "lone") == ["model-gone"]
    opened.datasets.remove("notes")
    assert [one.code for one in stale(opened, record)] == ["model-gone", "data-gone"]
    assert all(one.mend == "" for one in stale(opened, record))


def test_a_stopped_build_goes_on_from_what_it_encoded(
    opened: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workbench.evaluation import cached
    from workbench.models.load import LoadedEmbedding
    from workbench.search.making import run_build

    monkeypatch.setattr(cached, "PIECE", 64)
    asked: list[int] = []
    original = LoadedEmbedding.encode

    def counted(self: Any, texts: list[str], role: Any, **more: Any) -> Any:
        if self.engines is None:  # Else it asks the model that computes.
            if sum(asked) >= 128 and not resumed:
                raise JobCancelled("stopped")
            asked.append(len(texts))
        return original(self, texts, role, **more)

    monkeypatch.setattr(LoadedEmbedding, "encode", counted)
    resumed = False
    recipe = prepare(IndexRecipe(dataset="notes", model="one", name="resumed"), opened, False)
    with pytest.raises(JobCancelled):
        run_build(recipe, FakeContext(opened))
    assert sum(asked) == 128
    assert not opened.indexes.exists("resumed")
    assert not (opened.home / "vectors.f32").exists()
    resumed = True
    assert run_build(recipe, FakeContext(opened))["documents"] == DOCUMENTS
    # The documents of the first attempt were read, not encoded again.
    assert sum(asked) == DOCUMENTS


def test_filters_reach_the_engine_and_equal_brute_force(opened: Workspace) -> None:
    from workbench.search.engine import Engine

    index(opened, "filtered", structure="hnsw")
    engine = Engine(opened)
    everything = engine.search(["filtered"], "the red fox", 1000)[0].hits
    fields = {
        one["id"]: json.loads(one["fields"])
        for one in opened.datasets.read("notes").documents().to_pylist()
    }
    result = engine.search(["filtered"], "the red fox", 20, where="year >= 2020 and lang = de")[0]
    wanted = [
        hit.id
        for hit in everything
        if int(fields[hit.id]["year"]) >= 2020 and fields[hit.id]["lang"] == "de"
    ]
    assert [hit.id for hit in result.hits] == wanted[:20]
    assert (result.matching, result.where) == (len(wanted), "year >= 2020 and lang = de")
    assert dict(engine.fields("filtered")["lang"]) == {"en": 200, "de": 100}
    with pytest.raises(BadInput, match="Did you mean 'lang'"):
        engine.search(["filtered"], "the red fox", 5, where="lan = de")


def test_an_index_from_before_is_asked_and_brought_up_to_date(opened: Workspace) -> None:
    index(opened, "old")
    record = opened.indexes.get("old")
    opened.store.indexes.update(replace(record, summary={}))
    (opened.indexes.folder("old") / "documents.arrow").unlink()
    assert codes(opened, "old") == []
    assert "n9" in found(opened, "old", opened_text(opened, 1, 9), where="lang = de")
    assert update(opened, "old")["rebuilt"] == "documents"
    assert "n9" in found(opened, "old", opened_text(opened, 1, 9))


def replaced(workspace: Workspace, rows: range, name: str) -> None:
    """These documents go, and as many others come."""
    texts = [f"the {name} hen {row} eats" for row in rows]
    fresh = pa.table({"id": [f"{name}{row}" for row in rows], "text": texts})
    changes = Changes(drop_documents=list(rows), new_documents=fresh)
    new_version(workspace, "notes", changes, {"what": "changed", "by": "a test"})


def test_codes_are_learned_anew_when_many_documents_were_replaced(opened: Workspace) -> None:
    """Their number stays the same throughout."""
    index(opened, "codes", structure="sq8")
    index(opened, "exact", structure="flat")
    replaced(opened, range(100), "red")
    assert update(opened, "codes")["rebuilt"] == ""
    replaced(opened, range(100), "old")
    # 200 and 200 of 300: each of the two by itself would do.
    assert update(opened, "codes")["rebuilt"] == "size"
    assert update(opened, "exact")["rebuilt"] == ""
    learned = opened.indexes.get("codes").summary["learned"]
    assert learned == {"documents": DOCUMENTS, "changed": 0}


def test_an_index_outlives_its_data_set(opened: Workspace) -> None:
    from workbench.search.engine import Engine

    index(opened, "alone")
    text = opened_text(opened, 1, 7)
    opened.datasets.remove("notes")
    (result,) = Engine(opened).search(["alone"], text, 5, where="lang = en")
    assert {hit.id: hit.text for hit in result.hits}["n7"] == text
    # Nobody is left who says what is right.
    assert result.known_relevant is None
    (opened.indexes.folder("alone") / "documents.arrow").unlink()
    with pytest.raises(DatasetNotFound):
        Engine(opened).search(["alone"], text, 5)
