"""A query that is a document of the data set does not find itself: ArguAna, Quora, CQADupStack."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import ir_measures
import numpy as np
import pyarrow as pa
import pytest
import xxhash
from numpy.typing import NDArray

from tests.workbench.data.fakes import bring, lines
from tests.workbench.training.fakes import FakeContext
from workbench.comparison.text import result_text
from workbench.data.reader import DatasetReader
from workbench.evaluation import job, named, stages
from workbench.evaluation.candidates import freeze, mine
from workbench.evaluation.metrics import cut_scores, measures
from workbench.evaluation.own_document import documents_saying, query_itself
from workbench.evaluation.pool import dev_pool, whole_pool
from workbench.evaluation.trec import trec_files
from workbench.models.contract import Contract
from workbench.models.resolve import ResolvedModel
from workbench.recipes.evaluate import EvaluateRecipe, MatrixRecipe
from workbench.reports.gather import _alike
from workbench.workspace import Workspace

THINGS = ("parks", "roads", "libraries", "schools", "trains", "bridges")
ASKED = {
    f"a{at}": f"argument number {at}: the city should build more {one}"
    for at, one in enumerate(THINGS)
}
COUNTER = {
    f"c{at}": f"counter: building {one} costs too much money" for at, one in enumerate(THINGS)
}
DOCUMENTS = ASKED | COUNTER
QRELS = {f"a{at}": {f"c{at}": 1} for at in range(len(THINGS))}


def vectors(texts: Any) -> NDArray[np.float32]:
    """A direction for each text that depends on nothing but its characters."""
    drawn = [
        np.random.default_rng(xxhash.xxh3_64_intdigest(text.encode())).normal(size=16)
        for text in texts
    ]
    found = np.array(drawn, np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


class Embedding:
    contract = Contract(query_max_len=32, passage_max_len=64, dimensions=16)

    def encode(self, texts: Any, role: str, *, progress: Any = None, stop: Any = None) -> Any:
        return vectors(texts)


class Reranker:
    contract = Contract(kind="reranker", query_max_len=32, passage_max_len=64)

    def score(self, queries: Any, documents: Any, pairs: Any, **more: Any) -> NDArray[np.float32]:
        asked, held = vectors(queries), vectors(documents)
        return np.array([asked[q] @ held[d] for q, d in pairs], np.float32)


class Late(Reranker):
    contract = Contract(kind="late-interaction", query_max_len=32, passage_max_len=64)

    def encode(self, texts: Any, role: str, *, stop: Any = None) -> list[Any]:
        return [one[None, :] for one in vectors(texts)]

    def max_sim(self, queries: Any, documents: Any) -> NDArray[np.float32]:
        found: NDArray[np.float32] = np.concatenate(queries) @ np.concatenate(documents).T
        return found


MODELS: dict[str, Any] = {"embed": Embedding, "cross": Reranker, "late": Late}


def beir(folder: Path, documents: Mapping[str, str], qrels: Mapping[str, Any], split: str) -> Path:
    """A BEIR folder whose queries are the arguments."""
    corpus = [{"_id": id, "title": "", "text": text} for id, text in documents.items()]
    lines(folder / "corpus.jsonl", corpus)
    lines(folder / "queries.jsonl", [{"_id": id, "text": text} for id, text in ASKED.items()])
    rows = [f"{q}\t{d}\t{grade}" for q, own in qrels.items() for d, grade in own.items()]
    (folder / "qrels").mkdir(exist_ok=True)
    table = "\n".join(["query-id\tcorpus-id\tscore", *rows]) + "\n"
    (folder / "qrels" / f"{split}.tsv").write_text(table, encoding="utf-8")
    return folder


@pytest.fixture
def workspace(home: Path) -> Iterator[Workspace]:
    opened = Workspace.open(home)
    yield opened
    opened.close()


@pytest.fixture
def reader(workspace: Workspace, tmp_path: Path) -> DatasetReader:
    folder = beir(tmp_path / "beir", DOCUMENTS, QRELS, "test")
    return bring(workspace, folder, name="arguments")[1]


@pytest.fixture(autouse=True)
def models(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(_: Any, name: str) -> ResolvedModel:
        return ResolvedModel(name, f"/{name}", MODELS[name].contract, None)

    for module in (named, stages):
        monkeypatch.setattr(module, "resolve", resolve)
    for module in (stages, job):
        monkeypatch.setattr(module, "load", lambda recipe, context, one: MODELS[one.name]())
    monkeypatch.setattr(stages, "with_cache", lambda model, *_: model)


def evaluated(workspace: Workspace, models: list[str], **values: Any) -> dict[str, Any]:
    recipe = EvaluateRecipe.read({"dataset": "arguments", "models": models, **values})
    return job.run(recipe, FakeContext(workspace, workspace.home / "jobs" / "job00001"))


def without_own(k: int | None = None) -> dict[str, dict[str, float]]:
    """Every query's ranking by these vectors, its own document removed, for ir_measures."""
    ids = list(DOCUMENTS)
    scores = vectors(ASKED.values()) @ vectors(DOCUMENTS.values()).T
    run = {}
    for query, line in zip(ASKED, scores, strict=True):
        ranked = sorted(zip(-line, ids, strict=True))
        kept = [id for _, id in ranked if id != query][:k]
        run[query] = {id: float(len(kept) - at) for at, id in enumerate(kept)}
    return run


def by_ir_measures(run: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    found = ir_measures.calc_aggregate(list(measures().values()), QRELS, run)
    return {name: found[measure] for name, measure in measures().items()}


def assert_equal(row: Mapping[str, Any], wanted: Mapping[str, float]) -> None:
    for name, value in wanted.items():
        assert row[name] == pytest.approx(value, abs=1e-9), name


def test_every_metric_is_that_of_the_run_without_the_query(
    workspace: Workspace, reader: DatasetReader
) -> None:
    result = evaluated(
        workspace, ["embed", "late", "bm25"], rerankers=["cross"], candidates=5, dimensions="16, 8"
    )
    wanted = by_ir_measures(without_own())
    assert wanted["mrr@10"] < 1 and wanted != by_ir_measures(without_own(5))
    rows = {row["model"]: row for row in result["rows"]}
    for name in ("embed", "late"):
        assert_equal(rows[name], wanted)
    assert_equal(rows["embed, first 5"], by_ir_measures(without_own(5)))
    assert_equal(rows["embed + cross"], by_ir_measures(without_own(5)))
    assert_equal(result["dimensions"][0], wanted)
    assert (result["exclude_query_document"], result["query_documents_excluded"]) == ("auto", 6)
    kept = [workspace.evaluations.get(id) for id in result["evaluations"]]
    assert {one.settings["query_documents_excluded"] for one in kept} == {6}
    said = result_text(result)
    assert "own id is left out of its ranking: 6 queries have one" in said
    assert "32 / 64" in said


def test_rankings_on_record_hold_no_query_and_are_full(
    workspace: Workspace, reader: DatasetReader
) -> None:
    result = evaluated(workspace, ["embed", "bm25"])
    kept = [workspace.evaluations.get(id) for id in result["evaluations"]]
    for file in trec_files(workspace, kept):
        if not file.name.endswith(".run"):
            continue
        found = [line.split()[:3:2] for line in file.lines()]
        assert found and all(query != document for query, document in found)
        if file.name.startswith("embed"):
            assert len(found) == len(ASKED) * (len(DOCUMENTS) - 1)


def test_the_switch_and_what_is_said_of_it(workspace: Workspace, reader: DatasetReader) -> None:
    off = evaluated(workspace, ["embed"], exclude_query_document="no")
    on = evaluated(workspace, ["embed"], exclude_query_document="yes")
    assert off["rows"][0]["mrr@10"] < on["rows"][0]["mrr@10"]
    assert_equal(on["rows"][0], by_ir_measures(without_own()))
    assert "query_documents_excluded" not in off
    assert "exclude_query_document is 'no'" in result_text(off)
    one, other = (workspace.evaluations.get(found["evaluations"][0]) for found in (off, on))
    # 'Original' and 'finetuned' are never set beside each other across the switch.
    assert not _alike(one, other) and _alike(other, other)


def test_a_matrix_leaves_it_out_too(workspace: Workspace, reader: DatasetReader) -> None:
    recipe = MatrixRecipe.read(
        {"dataset": "arguments", "retrievers": ["embed", "bm25"], "rerankers": ["cross"]}
        | {"candidates": 5, "top_k": 5}
    )
    result = job.run_matrix(recipe, FakeContext(workspace, workspace.home / "jobs" / "job00001"))
    run = without_own(5)
    rows = {id: row for row, id in enumerate(reader.documents()["id"].to_pylist())}
    ranked = np.array([[rows[id] for id in one] for one in run.values()])
    asked = {one["id"]: one["row"] for one in reader.queries("test").to_pylist()}
    judged = {asked[q]: {rows[d]: g for d, g in own.items()} for q, own in QRELS.items()}
    wanted = cut_scores([asked[query] for query in run], ranked, judged, range(1, 6))
    cells = {(row["retriever"], row["reranker"]): row["top"] for row in result["rows"]}
    assert cells["embed", ""] == wanted and cells["embed", "cross"] == wanted
    assert result["query_documents_excluded"] == 6


def test_own_candidates_hold_no_query(workspace: Workspace, tmp_path: Path) -> None:
    """The data's candidates name the query itself; it is not put in order."""
    rows = [
        {
            "query": text,
            "query_id": id,
            "positives": [{"id": f"c{at}", "text": COUNTER[f"c{at}"]}],
            "negatives": [{"id": one, "text": ASKED[one]} for one in ASKED],
        }
        for at, (id, text) in enumerate(ASKED.items())
    ]
    corpus = lines(
        tmp_path / "rows.jsonl",
        [
            {
                "query_id": row["query_id"],
                "query": row["query"],
                "positive_passages": [
                    {"docid": one["id"], "text": one["text"]} for one in row["positives"]
                ],
                "negative_passages": [
                    {"docid": one["id"], "text": one["text"]} for one in row["negatives"]
                ],
            }
            for row in rows
        ],
    )
    reader = bring(workspace, corpus, name="own", dev_share=0, test_share=0)[1]
    for switch, most in (("auto", 6), ("no", 7)):
        pool = whole_pool(reader, "train", exclude=switch)
        frozen = freeze(reader, "train", pool, first_stage="given", whole=True)
        assert {int(n) for n in (frozen.run.documents >= 0).sum(axis=1)} == {most}
    # To train against, it is never one.
    found, _ = mine(reader, "train", k=11, seed=1, first_stage="given")
    itself = query_itself(reader, reader.queries("train"))
    assert len(itself) == 6
    assert all(not set(found[query]) & set(own) for query, own in itself.items())


def test_dev_of_a_training_leaves_it_out(workspace: Workspace, tmp_path: Path) -> None:
    folder = beir(tmp_path / "beir", DOCUMENTS, QRELS, "dev")
    reader = bring(workspace, folder, name="arguments", test_share=0)[1]
    pool = dev_pool(reader, max_queries=6, max_documents=12, seed=1)
    assert (
        pool.left_out == 6
        and dev_pool(reader, max_queries=6, max_documents=12, seed=1, exclude="no").left_out == 0
    )
    assert_equal(Dev(pool), by_ir_measures(without_own()))


def Dev(pool: Any) -> dict[str, float]:
    from workbench.evaluation.measure import measure

    return measure(Embedding(), pool).scores.means()


def test_ids_that_only_count_alike_leave_an_answer_in(workspace: Workspace, tmp_path: Path) -> None:
    """Rows numbered alike: the document with the query's id is its answer."""
    qrels = {"a0": {"a0": 1}, "a1": {"c1": 1}, "a2": {"a2": 0, "c2": 1}}
    folder = beir(tmp_path / "beir", DOCUMENTS, qrels, "test")
    reader = bring(workspace, folder, name="arguments")[1]
    ids = reader.documents()["id"].to_pylist()
    for switch, wanted, stays in (("auto", [None, "a1", "a2"], 1), ("yes", ["a0", "a1", "a2"], 0)):
        pool = whole_pool(reader, "test", exclude=switch)
        assert [ids[row] if row >= 0 else None for row in pool.own.tolist()] == wanted
        assert pool.own_relevant == stays
    result = evaluated(workspace, ["embed"])
    assert result["query_documents_judged_relevant"] == 1
    assert "judged relevant to it and stays" in result_text(result)


def test_data_whose_ids_do_not_meet_are_as_before(workspace: Workspace, tmp_path: Path) -> None:
    rows = [{"query": f"question {n}", "pos": [f"answer {n}"]} for n in range(8)]
    reader = bring(workspace, lines(tmp_path / "plain.jsonl", rows), name="arguments")[1]
    for split in ("train", "dev", "test"):
        if reader.counts["splits"][split]:
            assert whole_pool(reader, split).left_out == 0
    result = evaluated(workspace, ["embed"])
    assert "query_documents_excluded" not in result
    assert "own id" not in result_text(result)


def test_words_are_the_query_whatever_their_case_and_spaces() -> None:
    class Reader:
        def iter_documents(self, batch: int) -> Iterator[Any]:
            yield pa.table({"title": ["", "The", None], "text": ["the  City\n", "city", "city"]})

    texts = ["THE CITY", "city", "", "town", "ｔｈｅ\u3000city"]
    assert documents_saying(Reader(), texts) == [[0, 1], [1, 2], [], [], [0, 1]]
