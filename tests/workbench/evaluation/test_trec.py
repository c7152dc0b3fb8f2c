"""Runs and qrels as other tools read them: the same numbers come out there."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import ir_measures
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import pytrec_eval
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.records import Evaluation
from tests.workbench.comparison import exploring
from tests.workbench.data.fakes import bring, lines
from tests.workbench.training.fakes import FakeReader, FakeWorkspace
from workbench.errors import BadInput, NotFound
from workbench.evaluation.exact_search import Run, cut
from workbench.evaluation.measure import Measured
from workbench.evaluation.metrics import measures, score_run
from workbench.evaluation.pool import whole_pool
from workbench.evaluation.registry import QRELS_FILE, ranked_ids
from workbench.evaluation.results import save_measured
from workbench.evaluation.trec import export, strictly_decreasing, trec_files
from workbench.workspace import Workspace


class Awkward(FakeReader):
    """Graded judgments, ids with spaces and percent signs, more than ten of each."""

    def __init__(self) -> None:
        texts = [f"document {number}" for number in range(150)]
        queries = [(f"query {n}", [texts[n], texts[n + 50]], [texts[n + 90]]) for n in range(40)]
        super().__init__({"train": [("t", texts, [])], "dev": queries})
        for at, one in enumerate(self._judgments):
            one["grade"] = (0, 0, 1, 3, 2)[at % 5]
        for one in self._queries:
            one["id"] = f"q {one['row']}%\u3000x"
        ids = pa.array([f"d {at % 7} %20 {at}" for at in range(self._documents.num_rows)])
        self._documents = self._documents.set_column(0, "id", ids)


def measured(reader: Any, home: Path, *, ties: bool = True) -> tuple[Any, Evaluation]:
    """A workspace with one evaluation of a run by chance, many of its scores equal."""
    pool = whole_pool(reader, "dev")
    random = np.random.default_rng(3)
    count = len(pool.queries)
    documents = np.stack([random.permutation(pool.documents) for _ in range(count)])
    scores = random.integers(0, 9, documents.shape).astype(np.float32)
    scores = scores if ties else random.random(documents.shape, np.float32)
    run = cut(Run(documents, scores), 100, pool.order)
    run.documents[0, 60:], run.scores[0, 60:] = -1, -np.inf
    run.documents[1], run.scores[1] = -1, -np.inf  # As BM25 when no word is known.
    found = Measured(run, score_run(pool.queries, run.documents, pool.judgments))
    folder = home / "evaluations/e1"
    folder.mkdir(parents=True)
    save_measured(folder, reader, "dev", "my model/v1", pool.queries, found)
    evaluation = Evaluation(
        id="e1",
        job_id=None,
        dataset_id="set1",
        version=1,
        split="dev",
        model="my model/v1",
        model_id=None,
        queries=len(found.scores.queries),
        documents=pool.documents,
        metrics=found.scores.means(),
        settings={},
        path="evaluations/e1",
        created_at=0.0,
    )
    return FakeWorkspace(home, reader), evaluation


@pytest.mark.parametrize("kept", [True, False])
def test_other_tools_find_the_same_numbers(home: Path, tmp_path: Path, kept: bool) -> None:
    workspace, evaluation = measured(Awkward(), home)
    if not kept:
        (home / "evaluations/e1" / QRELS_FILE).unlink()
    run, qrels = export(workspace, [evaluation], tmp_path / "out")
    assert (run.name, qrels.name) == ("my-model-v1.run", "my-model-v1.qrels")
    expected = ir_measures.calc_aggregate(
        list(measures().values()),
        list(ir_measures.read_trec_qrels(str(qrels))),
        list(ir_measures.read_trec_run(str(run))),
    )
    for metric, measure in measures().items():
        assert evaluation.metrics[metric] == pytest.approx(expected[measure], abs=1e-9), metric
    assert all(len(line.split()) == 6 for line in run.read_text().splitlines())


#: Our metrics as trec_eval calls them.
NAMES = {
    "map@100": "map_cut_100",
    "ndcg@10": "ndcg_cut_10",
    "recall@10": "recall_10",
    "recall@100": "recall_100",
    "hit_rate@5": "success_5",
    "hit_rate@10": "success_10",
}


def by_trec_eval(run: Path, qrels: Path) -> tuple[dict[str, dict[str, float]], int]:
    """What trec_eval's own code says of each query of the files, and how many are judged."""
    with run.open() as ranked, qrels.open() as judged:
        grades, found = pytrec_eval.parse_qrel(judged), pytrec_eval.parse_run(ranked)
    asked = {"map_cut.100", "recip_rank", "ndcg_cut.10", "recall.10,100", "success.5,10"}
    return pytrec_eval.RelevanceEvaluator(grades, asked).evaluate(found), len(grades)


def test_trec_eval_itself_with_c_and_without(home: Path, tmp_path: Path) -> None:
    """``-c`` divides by all queries of the qrels; without, by those that found anything."""
    workspace, evaluation = measured(Awkward(), home)
    values, queries = by_trec_eval(*export(workspace, [evaluation], tmp_path / "out"))
    assert len(values) == queries - 1 == evaluation.queries - 1
    for metric, name in NAMES.items():
        total = sum(one[name] for one in values.values())
        assert evaluation.metrics[metric] == pytest.approx(total / queries, abs=1e-9), metric
        assert total / len(values) > evaluation.metrics[metric] + 1e-3, metric
    # trec_eval's reciprocal rank has no cutoff.
    first = [one["recip_rank"] for one in values.values()]
    total = sum(one for one in first if one >= 1 / 10)
    assert evaluation.metrics["mrr@10"] == pytest.approx(total / queries, abs=1e-9)


def test_trec_eval_of_data_that_was_imported(home: Path, tmp_path: Path) -> None:
    with closing(Workspace.open(home)) as workspace:
        reader = exploring.grounds(workspace, tmp_path)
        found = workspace.evaluations.for_job(exploring.evaluation(workspace, reader))
        paths = export(workspace, found, tmp_path / "out")
        for one, run, qrels in zip(found, paths[::2], paths[1::2], strict=True):
            values, queries = by_trec_eval(run, qrels)
            assert len(values) == queries == one.queries == reader.counts["queries"]
            for metric, name in NAMES.items():
                mean = sum(each[name] for each in values.values()) / queries
                assert one.metrics[metric] == pytest.approx(mean, abs=1e-9), (one.model, metric)


def test_what_a_second_data_set_gave_is_named_after_it(home: Path, tmp_path: Path) -> None:
    with closing(Workspace.open(home)) as workspace:
        reader = exploring.grounds(workspace, tmp_path)
        found = workspace.evaluations.for_job(exploring.evaluation(workspace, reader))
        row = {"query": "green?", "pos": ["green"], "neg": ["red"]}
        bring(workspace, lines(tmp_path / "other.jsonl", [row]), name="other ground")
        other = workspace.datasets.get("other ground").id
        second = [replace(one, dataset_id=other) for one in found]
        gone = replace(found[0], dataset_id="gone")
        names = [file.name for file in trec_files(workspace, [*found, *second, gone])]
    assert names[::2] == [
        *("tuned.run", "base.run", "tuned-other-ground.run", "base-other-ground.run"),
        "tuned-gone.run",
    ]
    result = {"evaluations": ["a", "b"], "second_dataset": {"evaluations": ["c"]}}
    assert ranked_ids(result) == ["a", "b", "c"]
    assert ranked_ids({"pairs": {"evaluations": ["d"]}}) == []


def test_the_order_is_told_by_scores_alone(home: Path, tmp_path: Path) -> None:
    workspace, evaluation = measured(Awkward(), home)
    run, _ = export(workspace, [evaluation], tmp_path / "out")
    rows = [line.split() for line in run.read_text().splitlines()]
    by_query: dict[str, list[float]] = {}
    for query, _q0, _document, rank, score, _tag in rows:
        # trec_eval reads scores as float32.
        by_query.setdefault(query, []).append(float(np.float32(score)))
        assert int(rank) == len(by_query[query])
    assert all((np.diff(scores) < 0).all() for scores in by_query.values())
    table = pq.read_table(home / "evaluations/e1/run.parquet")
    assert len(rows) == table.num_rows and len(by_query) == evaluation.queries - 1
    assert set(table["model"].to_pylist()) == {"my model/v1"}


@settings(deadline=None)
@given(
    st.lists(st.lists(st.sampled_from([0.0, 0.5, 1.0, -2.5e-39, 3e38]), max_size=9), max_size=5),
)
def test_scores_are_lowered_only_where_they_tie(groups: list[list[float]]) -> None:
    groups = [sorted(one, reverse=True) for one in groups]
    queries = np.array([at for at, one in enumerate(groups) for _ in one], dtype=np.int64)
    scores = np.array([score for one in groups for score in one], dtype=np.float32)
    lowered = strictly_decreasing(queries, scores)
    within = queries[1:] == queries[:-1]
    assert (np.diff(lowered)[within] < 0).all()
    np.testing.assert_allclose(lowered, scores, rtol=1e-5, atol=1e-40)
    distinct = [at for at, one in enumerate(groups) if len(set(one)) == len(one)]
    untouched = np.isin(queries, distinct)
    assert (lowered[untouched] == scores[untouched]).all()


def test_no_text_is_read_to_write_what_was_found(home: Path) -> None:
    """Of a million documents the ids fit in memory; all their texts would not."""
    asked: list[Any] = []

    class Watched(Awkward):
        def documents_at(self, rows: Any, columns: Any = None) -> Any:
            asked.append(columns)
            return super().documents_at(rows, columns)

    measured(Watched(), home)
    # To see whether queries are documents, then for the judgments, then for the run.
    assert asked == [["id"], ["id"], ["id"]]


def test_two_models_of_one_name_and_files_that_are_gone(home: Path, tmp_path: Path) -> None:
    workspace, evaluation = measured(Awkward(), home)
    names = [file.name for file in trec_files(workspace, [evaluation, evaluation])]
    assert names[2:] == ["my-model-v1-e1.run", "my-model-v1-e1.qrels"]
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot be written to"):
        export(workspace, [evaluation], tmp_path / "file" / "below")
    (home / "evaluations/e1/run.parquet").unlink()
    with pytest.raises(NotFound, match="is missing"):
        export(workspace, [evaluation], tmp_path)
