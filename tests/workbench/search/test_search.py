"""From documents to hits with a real (tiny) model: built, asked in process and out of it."""

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from tests.workbench.models import tiny
from tests.workbench.models.fakes import FakeContext
from workbench.errors import (
    DatasetNotFound,
    IndexNotFound,
    InUse,
    JobCancelled,
    ModelUnusable,
    NameTaken,
    SearchUnavailable,
)
from workbench.jobs.outcome import made
from workbench.prepare import prepare
from workbench.recipes.data import AddModelRecipe, ImportRecipe
from workbench.recipes.evaluate import IndexRecipe
from workbench.workspace import Workspace

# Importing sentence-transformers takes 6 to 11 seconds, here and once more in the search process.
pytestmark = pytest.mark.slow

ANIMALS = ["fox", "dog", "cat"]
QUERY = "the lazy dog"


def corpus(folder: Path) -> Path:
    """Sixty rows of one query and one document; three documents are the same text."""
    import orjson

    rng = np.random.default_rng(0)
    lines = [{"query": QUERY, "pos": ["the dog sat on the mat"]}]
    for number in range(59):
        words = " ".join(rng.choice(tiny.WORDS, size=8))
        text = words if number % 20 else f"{words} {number}"
        lines.append({"query": f"{words} fox", "pos": [f"{text} {ANIMALS[number % 3]}"]})
    path = folder / "pairs.jsonl"
    path.write_bytes(b"\n".join(orjson.dumps(line) for line in lines))
    return path


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    from workbench.data.job import run_import
    from workbench.models.jobs import run_add
    from workbench.prepare import prepare
    from workbench.search.making import run_build

    folder = tmp_path_factory.mktemp("search")
    workspace = Workspace.open(folder / "home")
    context = FakeContext(workspace)
    recipe = ImportRecipe(paths=[str(corpus(folder))], name="animals")
    run_import(prepare(recipe, workspace, False), context)
    for seed, name in enumerate(("one", "two")):
        source = tiny.bert(folder / name, seed=seed)
        run_add(AddModelRecipe(source=str(source), name=name), context)
        wanted = IndexRecipe(dataset="animals", model=name)
        run_build(prepare(wanted, workspace, False), context)
    yield workspace
    workspace.close()


def reference(workspace: Workspace, model: str, query: str, top_k: int) -> list[tuple[str, float]]:
    """The same by a plain matrix product."""
    from workbench.models.load import load_embedding
    from workbench.models.locate import locate

    table = workspace.datasets.read("animals").documents()
    loaded = load_embedding(locate(workspace, model))
    documents = loaded.encode(table["text"].to_pylist(), "document")
    scores = documents @ loaded.encode([query], "query")[0]
    ids = table["id"].to_pylist()
    best = sorted(range(len(ids)), key=lambda row: (-scores[row], ids[row]))[:top_k]
    return [(ids[row], float(scores[row])) for row in best]


def test_the_index_is_on_record(opened: Workspace) -> None:
    record = opened.indexes.get("animals-one")
    assert record.documents == opened.datasets.read("animals").counts["documents"]
    assert record.bytes > record.documents * 32 * 4
    assert record.contract["dimensions"] == 32
    assert sorted(p.name for p in opened.indexes.folder("animals-one").iterdir()) == [
        "contract.json",
        "documents.arrow",
        "index.faiss",
    ]
    with pytest.raises(InUse, match="the index 'animals-one'"):
        opened.models.remove("one")


@pytest.mark.parametrize("query", [QUERY, "a quick fox in the mat"])
def test_search_equals_a_plain_matrix_product(opened: Workspace, query: str) -> None:
    from workbench.search.engine import Engine

    found = Engine(opened).search([opened.indexes.get("animals-one").id], query, 10)[0]
    wanted = reference(opened, "one", query, 10)
    np.testing.assert_allclose([h.score for h in found.hits], [s for _, s in wanted], atol=1e-5)
    assert [hit.score for hit in found.hits] == sorted((h.score for h in found.hits), reverse=True)
    for hit, (id, score) in zip(found.hits, wanted, strict=True):
        assert hit.id == id or hit.score == pytest.approx(score, abs=1e-5)
    row = found.hits[0].row
    assert opened.datasets.read("animals").documents_at([row])["id"].to_pylist() == [
        found.hits[0].id
    ]


def test_known_answers_are_marked_and_only_for_known_queries(opened: Workspace) -> None:
    from workbench.search.engine import Engine

    engine = Engine(opened)
    id = opened.indexes.get("animals-one").id
    known = engine.search([id], f"  {QUERY} ", 1000)[0]
    assert known.known_relevant == 1
    marked = [hit.text for hit in known.hits if hit.relevant]
    assert marked == ["the dog sat on the mat"]
    assert {hit.relevant for hit in known.hits} == {True, False}
    assert len(known.hits) == opened.indexes.get(id).documents
    own = engine.search([id], f"{QUERY} today", 5)[0]
    assert own.known_relevant is None
    assert {hit.relevant for hit in own.hits} == {None}


def test_the_resident_process_answers_for_two_models_at_once(opened: Workspace) -> None:
    from workbench.search.client import SearchClient
    from workbench.search.protocol import Search, Status

    client = SearchClient(opened)
    try:
        client.warm(["animals-one"], wait=True)
        left, right = client.search_many(["animals-one", "animals-two"], QUERY, 5)
        assert (left.model, right.model) == ("one", "two")
        for result, model in ((left, "one"), (right, "two")):
            wanted = reference(opened, model, QUERY, 5)
            np.testing.assert_allclose(
                [hit.score for hit in result.hits], [score for _, score in wanted], atol=1e-5
            )
            assert set(result.milliseconds) == {"encode", "search", "total"}
            assert 0 < result.milliseconds["encode"] <= result.milliseconds["total"]
        assert client._ask(Status())["models"] == [
            opened.models.get("one").id,
            opened.models.get("two").id,
        ]
        # A failure comes through as what it was.
        with pytest.raises(IndexNotFound, match="no index named 'unknown'"):
            client._ask(Search(["unknown"], QUERY, 3))
    finally:
        client.close()


def test_an_index_knows_what_computes_it_and_its_questions(
    opened: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workbench.models.load import LoadedEmbedding
    from workbench.search import making

    heard: dict[str, Any] = {}
    decided: list[str] = []

    def with_cache(model: Any, *_: Any, **about: Any) -> Any:
        heard.update(about, model=model)
        return model.with_engines(opened.home, "digest", "one")

    def decide(loaded: Any, _stop: Any) -> None:
        decided.append(loaded.engines.use)

    monkeypatch.setattr(making, "with_cache", with_cache)
    monkeypatch.setattr(LoadedEmbedding, "decided", decide)
    context = FakeContext(opened)
    for worth in (1000, 1):
        monkeypatch.setattr(making, "WORTH", worth)
        wanted = IndexRecipe(dataset="animals", model="one", name=f"worth-{worth}")
        making.run_build(prepare(wanted, opened, False), context)
        opened.indexes.remove(wanted.name)
    assert decided == ["questions"], "a small index is built sooner without"
    assert heard["tell"] == context.note
    value, documents = heard["rank"](heard["model"], 40, context.check_cancelled)
    assert 0 < value <= 1 and 0 < documents <= 40


@pytest.mark.parametrize("error", [RuntimeError("no memory"), JobCancelled("stopped")])
def test_a_finished_index_stays_whatever_measuring_its_questions_says(
    opened: Workspace, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workbench.models.load import LoadedEmbedding
    from workbench.search import making

    def fails(*_: Any) -> None:
        raise error

    monkeypatch.setattr(making, "WORTH", 1)
    monkeypatch.setattr(LoadedEmbedding, "decided", fails)
    wanted = prepare(IndexRecipe(dataset="animals", model="one", name="whole"), opened, False)
    try:
        assert making.run_build(wanted, FakeContext(opened))["index"] == "whole"
        record = opened.indexes.get("whole")
        assert (opened.indexes.folder("whole") / "documents.arrow").is_file() and record.documents
    finally:
        opened.indexes.remove("whole")


def test_what_computes_questions_is_measured_when_nobody_asks(
    opened: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workbench.models import engine_choice
    from workbench.models.precision import ENGINE_VARIABLE, TORCH, kept
    from workbench.search.engine import Engine

    measured: list[str] = []

    def measure(_loaded: Any, _among: Any, _texts: Any, _role: Any, use: str, *_: Any) -> Any:
        measured.append(use)
        return {"engine": TORCH, "seconds": {}, "cpu": {}, "cosine": {}, "refused": {}}, None

    monkeypatch.delenv(ENGINE_VARIABLE)
    monkeypatch.setattr(engine_choice, "measure", measure)
    engine = Engine(opened)
    id = opened.indexes.get("animals-one").id
    for _ in range(2):
        assert engine.search([id], QUERY, 3)[0].hits
        engine.embed("one", [QUERY, "a dog"], "query")
    assert measured == []
    engine.decide()
    assert sorted(measured) == ["questions", "texts"]
    # It is kept: another process measures nothing.
    engine.decide()
    again = Engine(opened)
    assert again.search([id], QUERY, 3)[0].hits
    again.decide()
    assert len(measured) == len(kept(opened.home)) == 2
    (opened.home / "cache/engines.json").unlink()


def test_nothing_is_encoded_beside_a_measurement(
    opened: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for what is encoded outside the lock, and whoever comes meanwhile has the lock."""
    from workbench.search import engine as module

    engine = module.Engine(opened)
    begun, may_end = threading.Event(), threading.Event()
    events: list[str] = []

    def embed(*_: Any) -> None:
        events.append("inside" if engine._lock.locked() else "outside")
        begun.set()
        assert may_end.wait(300)

    class Undecided:
        def decided(self, give_way: Any) -> None:
            events.append("measured")
            other = pool.submit(engine.embed, "one", ["text"], "query")
            while not other.done():
                give_way()

    monkeypatch.setattr(engine, "_resolved", lambda _: None)
    monkeypatch.setattr(module, "as_served", lambda *_: SimpleNamespace(workers=2))
    monkeypatch.setattr(module, "_tokens", lambda *_: [1])
    monkeypatch.setattr(module, "embed", embed)
    engine._undecided.append(cast(Any, Undecided()))
    with ThreadPoolExecutor(3) as pool:
        pool.submit(engine.embed, "one", ["text"], "query")
        assert begun.wait(300)
        measuring = pool.submit(engine.decide)
        while not (engine._lock.locked() or measuring.done()):
            continue
        may_end.set()
        measuring.result(300)
    assert events == ["outside", "measured", "inside"]
    assert engine._outside == engine._measurements == 0


def test_a_lost_index_file_is_a_sentence(opened: Workspace) -> None:
    from workbench.search.engine import Engine

    path = opened.indexes.folder("animals-two") / "index.faiss"
    path.rename(path.with_suffix(".away"))
    try:
        with pytest.raises(
            SearchUnavailable, match="The file of the index 'animals-two' is missing"
        ):
            Engine(opened).search(["animals-two"], QUERY, 3)
    finally:
        path.with_suffix(".away").rename(path)


def test_a_changed_model_is_noticed(opened: Workspace, tmp_path: Path) -> None:
    from dataclasses import replace

    from workbench.search.engine import Engine

    model = opened.models.ensure_packaged()
    wrong = replace(opened.indexes.get("animals-one"), id="wrong001", name="wrong")
    opened.indexes.add(replace(wrong, model_id=model.id))
    try:
        with pytest.raises(ModelUnusable, match="no longer the one"):
            Engine(opened).search(["wrong001"], QUERY, 3)
    finally:
        opened.store.indexes.delete("wrong001")


def test_the_click_checks_names(opened: Workspace) -> None:
    again = prepare(IndexRecipe(dataset="animals", model="one"), opened, False)
    assert (again.name, again.dataset_version) == ("animals-one-2", 1)
    with pytest.raises(NameTaken):
        prepare(IndexRecipe(dataset="animals", model="one", name="animals-one"), opened, False)
    with pytest.raises(DatasetNotFound, match="Did you mean 'animals'"):
        prepare(IndexRecipe(dataset="animal", model="one"), opened, False)
    waiting = IndexRecipe(dataset="later", model="later-model")
    assert prepare(waiting, opened, True).name == "later-later-model"


def test_cancelling_a_build_leaves_nothing(opened: Workspace) -> None:
    from workbench.search.making import run_build

    before = {path.name for path in (opened.home / "indexes").iterdir()}
    recipe = IndexRecipe(dataset="animals", model="one", name="cancelled")
    with pytest.raises(JobCancelled):
        run_build(recipe, FakeContext(opened, "Writing the index"))
    assert {path.name for path in (opened.home / "indexes").iterdir()} == before
    assert not opened.indexes.exists("cancelled")


def test_the_client_leaves_torch_out() -> None:
    import subprocess

    code = (
        "import sys, workbench.search.client, workbench.search.staleness\n"
        "import workbench.models.registry\n"
        "import workbench.search.registry, workbench.models.jobs, workbench.models.files\n"
        "heavy: Any = {'torch', 'faiss', 'transformers', 'sentence_transformers', 'peft'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    ).replace(": Any", "")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_index_removal_takes_its_folder(opened: Workspace) -> None:
    from workbench.search.making import run_build

    context: Any = FakeContext(opened)
    result = run_build(IndexRecipe(dataset="animals", model="two", name="short-lived"), context)
    assert made(opened.store, context.folder) == result
    folder = opened.indexes.folder("short-lived")
    assert result["bytes"] == (folder / "index.faiss").stat().st_size
    assert context.done[-1] == (result["documents"], result["documents"])
    opened.indexes.remove("short-lived")
    assert not folder.exists()
