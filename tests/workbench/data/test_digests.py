"""The digest map against a plain dict; the edge spool against plain sorting."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.data import edges as edges_module
from workbench.data.digests import DigestRows, of_bytes, of_strings
from workbench.data.edges import EdgeSpool, judged, offered

# Few high halves and few low ones: collisions of either, which real digests hardly ever have.
HIGHS = st.sampled_from([0, 1, 2**62, 2**62 + 1, 2**63, 2**64 - 1])
BATCHES = st.lists(st.lists(st.tuples(HIGHS, st.integers(0, 3)), max_size=30), max_size=12)


@given(BATCHES)
def test_rows_are_those_of_a_dict(batches: list[list[tuple[int, int]]]) -> None:
    known: dict[tuple[int, int], int] = {}
    map_ = DigestRows()
    for batch in batches:
        # Sorted, so that equal digests stand together: of unsorted equal high halves the map
        # promises no more than that texts are never confused.
        batch = sorted(batch)
        digests = np.array(batch, np.uint64).reshape(len(batch), 2)
        expected_new = [
            at for at, key in enumerate(batch) if key not in known and key not in batch[:at]
        ]
        assert map_.fresh(digests).tolist() == expected_new
        rows, first = map_.resolve(digests, len(known))
        for key in batch:
            known.setdefault(key, len(known))
        assert rows.tolist() == [known[key] for key in batch]
        assert first.tolist() == expected_new
        assert map_.find(digests).tolist() == rows.tolist()
    unknown = np.array([[5, 5]], np.uint64)
    assert map_.find(unknown).tolist() == [-1]


@given(st.lists(st.lists(st.text(max_size=3), max_size=50), max_size=6))
def test_texts_get_one_row_each(batches: list[list[str]]) -> None:
    known: dict[str, int] = {}
    map_ = DigestRows()
    for batch in batches:
        rows, first = map_.resolve(of_strings(pa.array(batch, pa.string())), len(known))
        for text in batch:
            known.setdefault(text, len(known))
        assert rows.tolist() == [known[text] for text in batch]
        assert [known[batch[at]] for at in first.tolist()] == sorted(
            known[batch[at]] for at in first
        )


def test_slices_and_bytes_have_the_same_digests() -> None:
    texts = pa.array(["a", "ü", "", "中文"])
    assert (of_strings(texts.slice(1, 3)) == of_strings(texts)[1:]).all()
    assert (of_bytes([b"a", "ü".encode()]) == of_strings(texts)[:2]).all()


def test_many_texts_take_sixteen_bytes_each() -> None:
    map_ = DigestRows()
    chance = np.random.default_rng(1)
    for start in range(0, 200_000, 10_000):
        map_.resolve(chance.integers(0, 2**64, (10_000, 2), dtype=np.uint64), start)
    held = sum(part.nbytes for shard in map_._shards for level in shard._levels for part in level)
    assert held == 200_000 * 16


EDGES = st.lists(
    st.tuples(
        st.integers(0, 6), st.integers(0, 4), st.sampled_from([-1, -1, 0, 1, 2]), st.booleans()
    ),
    max_size=60,
)


@given(EDGES, st.permutations(range(7)), st.sets(st.integers(0, 6)))
def test_edges_come_out_by_query(
    rows: list[tuple[int, int, int, bool]], order: list[int], dropped: set[int]
) -> None:
    new_row = np.full(7, -1, np.int32)
    kept = [query for query in order if query not in dropped]
    new_row[kept] = np.arange(len(kept))
    with pytest.MonkeyPatch.context() as patch:
        import tempfile

        patch.setattr(edges_module, "RANGE", 5)
        patch.setattr(edges_module, "_SCAN", 7)
        patch.setattr(edges_module, "SCANS", 1_000)
        with tempfile.TemporaryDirectory() as folder:
            found = list(_through(Path(folder), rows, new_row))
    judgments = [tuple(row)[:3] for sure, _, _ in found for row in sure.tolist()]
    best: dict[tuple[int, int], int] = {}
    for query, document, grade, _ in rows:
        if grade >= 0 and new_row[query] >= 0:
            key = (int(new_row[query]), document)
            best[key] = max(best.get(key, 0), grade)
    assert sorted(judgments) == sorted((*key, grade) for key, grade in best.items())
    assert [query for query, *_ in judgments] == sorted(query for query, *_ in judgments)
    candidates = [tuple(row) for _, given_, _ in found for row in given_.tolist()]
    pairs = [(query, document) for query, document, *_ in candidates]
    assert len(set(pairs)) == len(pairs)
    for query, document, _, score, *_ in candidates:
        assert best.get((query, document), 0) == 0 or not np.isnan(score)
    ranks = [rank for *_, rank in found for rank in rank.tolist()]
    expected, counts = [], {}
    for query, _ in pairs:
        counts[query] = counts.get(query, 0) + 1
        expected.append(counts[query])
    assert ranks == expected


def _through(folder, rows, new_row):  # type: ignore[no-untyped-def]
    spool = EdgeSpool(folder / "edges.bin")
    for query, document, grade, scored in rows:
        score = np.array([1.0 if scored and grade < 0 else np.nan], np.float32)
        spool.add(np.array([query]), np.array([document]), np.array([grade]), score)
    for edges in spool.ranges(new_row):
        sure = judged(edges)
        yield sure, *offered(edges, sure)
