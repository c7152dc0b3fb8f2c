"""Every structure: made, measured, read in a new process, filtered, changed. FAISS, no torch."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import BadInput
from workbench.recipes.evaluate import IndexRecipe
from workbench.search import making
from workbench.search.index_types import PQ_NEEDS, Plan
from workbench.search.making import measure
from workbench.search.plan import PlannedIndex, Spool, check_memory, make_plan

pytest.importorskip("faiss")

ROWS, DIMENSIONS = 2 * PQ_NEEDS, 16
STRUCTURES = ("flat", "hnsw", "ivf", "sq8", "pq", "ivfpq", "binary")
#: What each must find of the exact ten best of these vectors; bits of 16 dimensions say little, but
#: rescoring makes up for it.
RECALL = {
    "flat": 1.0,
    "hnsw": 0.98,
    "ivf": 0.9,
    "sq8": 0.93,
    "pq": 0.55,
    "ivfpq": 0.55,
    "binary": 0.3,
}

_READ = """
import json, sys
import numpy as np
from pathlib import Path
from workbench.search.index_types import Plan
from workbench.search.plan import PlannedIndex
folder = Path(sys.argv[1])
queries = np.load(folder / "queries.npy")
found = {}
for one in json.loads((folder / "plans.json").read_text()):
    searcher = PlannedIndex.read(Plan.from_dict(one), folder / one["structure"])
    found[one["structure"]] = [searcher.search(query, 10)[1].tolist() for query in queries]
print(json.dumps(found))
assert "torch" not in sys.modules
"""


def vectors() -> np.ndarray:
    """Clusters of unit vectors, as text embeddings are."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((100, DIMENSIONS))
    made = centres[rng.integers(0, 100, ROWS)] + 0.5 * rng.standard_normal((ROWS, DIMENSIONS))
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def spool(tmp_path_factory: pytest.TempPathFactory) -> Spool:
    made = Spool(tmp_path_factory.mktemp("spool") / "vectors", ROWS, DIMENSIONS)
    made.add(vectors())
    return made


@pytest.fixture(scope="module")
def queries(spool: Spool) -> np.ndarray:
    rng = np.random.default_rng(1)
    near = spool.sample(40, 1) + 0.1 * rng.standard_normal((40, DIMENSIONS))
    return near.astype(np.float32)


@pytest.fixture(scope="module")
def built(spool: Spool, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Plan]]:
    folder = tmp_path_factory.mktemp("built")
    plans = {}
    for structure in STRUCTURES:
        plans[structure] = plan(structure)
        (folder / structure).mkdir()
        build(plans[structure], spool).write(folder / structure)
    return folder, plans


def build(plan: Plan, spool: Spool) -> PlannedIndex:
    made = PlannedIndex.empty(plan)
    made.fill(spool, lambda _: None, lambda _: None)
    return made


def plan(structure: Any, **more: Any) -> Plan:
    # Half a byte a dimension: with the usual two bits, codes of 16 dimensions say next to nothing.
    recipe = IndexRecipe(dataset="any", structure=structure, code_bytes=8, **more)
    return make_plan(recipe, ROWS, DIMENSIONS, True)


def test_recall_is_measured_and_as_good_as_it_should_be(
    built: Any, spool: Spool, queries: np.ndarray
) -> None:
    folder, plans = built
    measured = {
        name: measure(PlannedIndex.read(plans[name], folder / name), spool, queries)
        for name in STRUCTURES
    }
    for name, least in RECALL.items():
        assert least <= measured[name]["recall@10"] <= 1.0, (name, measured[name])
        assert 0 < measured[name]["ms_p50"] <= measured[name]["ms_p95"]
    # The measure sees what is lost: fewer probes find less.
    assert measured["pq"]["recall@10"] < measured["sq8"]["recall@10"]


def test_an_exact_index_of_long_vectors_misses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scores of hundreds differ in their last digits by how they were added up."""
    rng = np.random.default_rng(3)
    long = (20 * rng.standard_normal((3_000, 384)) / np.sqrt(384)).astype(np.float32)
    spool = Spool(tmp_path / "vectors", *long.shape)
    spool.add(long)
    recipe = IndexRecipe(dataset="any", structure="flat")
    exact = make_plan(recipe, *long.shape, False)
    build(exact, spool).write(tmp_path)
    measured = measure(PlannedIndex.read(exact, tmp_path), spool, long[:200])
    assert measured["recall@10"] == 1.0 and measured["queries"] == 200
    # Where each question takes long, fewer are asked, and it is said.
    monkeypatch.setattr(making, "SECONDS", 0.0)
    measured = measure(PlannedIndex.read(exact, tmp_path), spool, long[:200])
    assert measured["recall@10"] == 1.0 and measured["queries"] == making.LEAST


def test_every_structure_is_read_by_a_new_process(built: Any, queries: np.ndarray) -> None:
    import json

    folder, plans = built
    np.save(folder / "queries.npy", queries)
    (folder / "plans.json").write_text(json.dumps([plans[name].to_dict() for name in STRUCTURES]))
    done = subprocess.run(
        [sys.executable, "-c", _READ, str(folder)], capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    for name in STRUCTURES:
        here = PlannedIndex.read(plans[name], folder / name)
        assert found[name] == [here.search(query, 10)[1].tolist() for query in queries]


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("share", [0.0005, 0.02, 0.5])
def test_a_filter_leaves_exactly_the_best_of_what_it_lets_through(
    built: Any, spool: Spool, queries: np.ndarray, structure: str, share: float
) -> None:
    folder, plans = built
    searcher = PlannedIndex.read(plans[structure], folder / structure)
    mask = np.random.default_rng(2).random(ROWS) < share
    exact = structure in ("flat", "hnsw", "ivf") and mask.sum() < 5_000
    for query in queries[:10]:
        scores, found = searcher.search(query, 10, mask)
        assert len(found) == min(10, mask.sum())
        assert len(set(found.tolist())) == len(found)
        assert mask[found].all()
        assert (np.diff(scores) <= 0).all()
        if exact:
            best = np.sort(spool.at(np.flatnonzero(mask)) @ query)[::-1][: len(found)]
            np.testing.assert_allclose(scores, best, atol=1e-5)
    assert len(searcher.search(queries[0], 10, np.zeros(ROWS, bool))[1]) == 0


@pytest.mark.parametrize("structure", STRUCTURES)
def test_documents_are_taken_out_and_added(
    built: Any, spool: Spool, queries: np.ndarray, structure: str, tmp_path: Path
) -> None:
    folder, plans = built
    gone = np.zeros(ROWS, bool)
    gone[50:6000] = True
    changed = PlannedIndex.read(plans[structure], folder / structure, mapped=False)
    changed.remove(gone)
    assert len(changed) == ROWS - 5950
    changed.add(spool.at(np.arange(50, 1000)))
    changed.write(tmp_path)
    searcher = PlannedIndex.read(plans[structure], tmp_path)
    # Where each document now is: those that stayed moved up, those added follow.
    now = np.concatenate([np.flatnonzero(~gone), np.arange(50, 1000)])
    after = Spool(tmp_path / "after", len(now), DIMENSIONS)
    after.add(spool.at(now))
    recall = measure(searcher, after, queries)["recall@10"]
    assert recall >= RECALL[structure] - 0.05
    own = spool.at(np.array([70]))[0]
    found = searcher.search(own, 3)[1]
    assert now[found[0]] == 70 or structure in ("pq", "ivfpq", "binary")
    assert set(found.tolist()) <= set(range(len(now)))


@given(
    st.integers(1, 60),
    st.lists(st.booleans(), min_size=60, max_size=60),
    st.integers(0, 2**16),
)
@settings(max_examples=40, deadline=None)
def test_numbers_after_removal_are_those_of_the_ones_that_stay(
    count: int, marks: list[bool], seed: int
) -> None:
    import faiss

    from workbench.search.faiss_indexes import IvfIndex

    made = np.random.default_rng(seed).standard_normal((60, 8)).astype(np.float32)
    coarse = faiss.IndexFlatIP(8)
    index = faiss.IndexIVFFlat(coarse, 8, 3, faiss.METRIC_INNER_PRODUCT)
    index.train(made)
    index.add(made[:count])
    gone = np.array(marks[:count])
    one = IvfIndex(Plan("ivf", 8, parameters={"lists": 3, "probes": 3}), index)
    one.remove(gone)
    index.nprobe = 3
    stay = np.flatnonzero(~gone)
    found = index.search(made[:1], count)[1][0]
    assert sorted(found[found >= 0].tolist()) == list(range(len(stay)))
    best = np.argsort(-(made[:count][~gone] @ made[0]))
    assert found[: len(stay)].tolist() == best.tolist()


def test_cut_vectors_are_of_length_one_again(spool: Spool, tmp_path: Path) -> None:
    cut = plan("flat", truncate_dim=8)
    assert (cut.dimensions, cut.cut) == (8, True)
    built = build(cut, spool)
    built.write(tmp_path)
    query = spool.at(np.array([3]))[0]
    scores, found = PlannedIndex.read(cut, tmp_path).search(query, 1)
    assert found[0] == 3
    assert scores[0] == pytest.approx(1.0, abs=1e-5)
    assert measure(PlannedIndex.read(cut, tmp_path), spool, query[None])["recall@10"] < 1.0


def test_rescoring_finds_more_than_bits_alone(
    spool: Spool, queries: np.ndarray, tmp_path: Path
) -> None:
    recall = {}
    for times in (0, 4, 40):
        one = plan("binary", rescore=times)
        (tmp_path / str(times)).mkdir()
        build(one, spool).write(tmp_path / str(times))
        searcher = PlannedIndex.read(one, tmp_path / str(times))
        recall[times] = measure(searcher, spool, queries)["recall@10"]
    assert recall[0] < recall[4] < recall[40]


@pytest.mark.parametrize(
    ("type", "documents", "structure"),
    [
        ("exact", 10, "flat"),
        ("exact", 10**6, "flat"),
        ("fast", 5000, "hnsw"),
        ("fast", 10**6, "ivf"),
        ("small", 500, "sq8"),
        ("small", 10**6, "ivfpq"),
    ],
)
def test_presets_go_by_the_number_of_documents(type: Any, documents: int, structure: str) -> None:
    chosen = make_plan(IndexRecipe(dataset="any", type=type), documents, 384, True)
    assert (chosen.structure, chosen.notes) == (structure, ())
    if documents == 10**6 and chosen.parameters["lists"]:
        assert chosen.parameters["lists"] == 4000
        assert chosen.train_rows < 250_000


def test_too_few_documents_to_learn_from_is_said() -> None:
    for structure, instead in (("pq", "sq8"), ("ivfpq", "sq8"), ("ivf", "flat")):
        chosen = make_plan(IndexRecipe(dataset="any", structure=structure), 500, 384, True)
        assert chosen.structure == instead
        assert "500" in chosen.notes[0]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"truncate_dim": 999}, "vectors have 384 dimensions"),
        ({"structure": "pq", "code_bytes": 100}, "no multiple"),
    ],
)
def test_what_cannot_be_is_a_sentence(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        make_plan(IndexRecipe(dataset="any", **values), 50_000, 384, True)


def test_a_recorded_plan_is_read_as_it_was_written() -> None:
    """Parameters stand among the other values, as before there were others than FAISS's."""
    recorded = {
        "structure": "ivf", "dimensions": 16, "cut": False, "normalize": True, "lists": 4,
        "probes": 2, "links": 0, "effort": 0, "code_bytes": 0, "rescore": 0, "train_rows": 99,
        "notes": ["a sentence"],
    }  # fmt: skip
    assert Plan.from_dict(recorded).to_dict() == recorded
    assert set(plan("flat").to_dict()) == set(recorded)


def test_more_than_the_machine_has_is_refused() -> None:
    flat = plan("flat")
    check_memory(flat, 10**6)
    with pytest.raises(BadInput, match=r"takes about 59604\.6 GiB of memory"):
        check_memory(flat, 10**12)
