"""Splits: by query, disjoint, fixed; test never touched."""

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.workbench.data.fakes import bring, everything, lines
from workbench.data.splits import DEV, TEST, TRAIN, Shares, carve, part_of, split_of
from workbench.workspace import Workspace


@given(
    st.lists(st.sampled_from([TRAIN, TRAIN, TRAIN, DEV, TEST]), max_size=60),
    st.integers(0, 99),
    st.integers(1, 20),
    st.booleans(),
)
def test_carving(given_: list[int], seed: int, limit: int, share_texts: bool) -> None:
    splits = np.array(given_, np.int8)
    groups = np.arange(len(splits)) // (2 if share_texts else 1)
    if share_texts:  # Queries of one text have one split.
        splits = splits[groups * 2] if len(splits) else splits
    shares = Shares(limit=limit, seed=seed)
    result = carve(splits, groups, shares)
    assert (carve(splits, groups, shares) == result).all()
    changed = result != splits
    assert (splits[changed] == TRAIN).all()
    for split in (DEV, TEST):
        taken = np.unique(groups[changed & (result == split)])
        assert len(taken) <= limit
        if (splits == split).any():
            assert not len(taken)
    texts = len(np.unique(groups[splits == TRAIN]))
    left = len(np.unique(groups[result == TRAIN]))
    assert left >= min(texts, 2) or texts == 2
    assert left >= 1 or texts == 0
    for group in np.unique(groups):
        assert len(np.unique(result[groups == group])) == 1


def test_how_many_are_set_aside() -> None:
    def counts(queries: int, **more: float) -> tuple[int, int, int]:
        result = carve(np.zeros(queries, np.int8), np.arange(queries), Shares(**more))  # type: ignore[arg-type]
        return tuple(int((result == split).sum()) for split in (TRAIN, DEV, TEST))  # type: ignore[return-value]

    assert counts(1) == (1, 0, 0)
    assert counts(2) == (1, 0, 1)
    assert counts(3) == (2, 0, 1)
    assert counts(4) == (2, 1, 1)
    assert counts(100) == (80, 10, 10)
    assert counts(50_000) == (48_000, 1_000, 1_000)
    assert counts(100, dev=0.0, test=0.2) == (80, 0, 20)


def test_names_say_the_split() -> None:
    expected = {
        "train.jsonl": "train",
        "a/b/valid.jsonl": "dev",
        "validation-00000-of-00001.parquet": "dev",
        "my_test.csv": "test",
        "dev.v2.jsonl": "dev",
        "qrels.dev.small.tsv": "dev",
        "triples.train.small.tsv": "train",
        "test/part1.jsonl": "test",
        "contest.jsonl": None,
        "latest_results.jsonl": None,
        "rows.jsonl": None,
        ".jsonl": None,
    }
    assert {name: split_of(name) for name in expected} == expected
    assert part_of("set/qrels/test.tsv") == "qrels"
    assert part_of("corpus.jsonl") == "corpus"
    assert part_of("queries.dev.small.tsv") == "queries"


def test_test_is_never_touched(workspace: Workspace, tmp_path: Path) -> None:
    shared = {"query": "both", "pos": ["p"], "neg": ["n"]}
    train = lines(
        tmp_path / "train.jsonl", [shared, *({"query": f"q{i}", "pos": ["p"]} for i in range(9))]
    )
    test = lines(tmp_path / "test.jsonl", [{"query": "both", "pos": ["other"]}])
    result, reader = bring(workspace, train, test)
    assert everything(reader)["both"] == ("test", ["other"], [])
    assert result["splits"]["test"] == 1
    assert result["problem_counts"] == {"leaked-test-query": 1}
    assert any("1 row was left out" in note for note in result["notes"])
    # What only a left-out row brought is not in the corpus either.
    assert "n" not in reader.documents()["text"].to_pylist()


def test_files_named_test_only(workspace: Workspace, tmp_path: Path) -> None:
    file = lines(tmp_path / "test.jsonl", [{"query": f"q{i}", "pos": ["p"]} for i in range(60)])
    result, _ = bring(workspace, file)
    assert result["splits"] == {"train": 0, "dev": 0, "test": 60}
    assert not result["too_few"]
    assert any("no training queries" in note for note in result["notes"])


def test_two_rows_load_and_say_that_they_are_few(workspace: Workspace, tmp_path: Path) -> None:
    rows = [{"query": f"q{i}", "pos": [f"p{i}"], "neg": [f"n{i}"]} for i in range(2)]
    result, reader = bring(workspace, lines(tmp_path / "rows.jsonl", rows))
    assert result["splits"] == {"train": 1, "dev": 0, "test": 1}
    assert result["too_few"]
    assert any("too few queries to judge" in note for note in result["notes"])
    assert reader.training_rows(1, 0).num_rows == 1


def test_the_seed_decides_and_the_shares_are_obeyed(workspace: Workspace, tmp_path: Path) -> None:
    rows = [{"query": f"q{i}", "pos": [f"p{i}"]} for i in range(100)]
    file = lines(tmp_path / "rows.jsonl", rows)
    _, one = bring(workspace, file, seed=1)
    _, same = bring(workspace, file, seed=1)
    _, other = bring(workspace, file, seed=2)
    result, _ = bring(workspace, file, test_share=0.3, dev_share=0.2, held_out_limit=25)
    assert everything(one) == everything(same)
    assert everything(one) != everything(other)
    assert result["splits"] == {"train": 55, "dev": 20, "test": 25}


def test_what_was_carved_is_told_from_what_the_files_bring(
    workspace: Workspace, tmp_path: Path
) -> None:
    rows = [{"query": f"q{i}", "pos": [f"p{i}"]} for i in range(100)]
    train = lines(tmp_path / "train.jsonl", rows)
    _, carved = bring(workspace, train)
    assert carved.summary["carved"] == {"test": 10, "dev": 10}
    dev = lines(tmp_path / "dev.jsonl", [{"query": f"d{i}", "pos": [f"p{i}"]} for i in range(5)])
    _, brought = bring(workspace, train, dev)
    assert brought.summary["carved"] == {"test": 10}
