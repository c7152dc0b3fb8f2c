"""What follows from a look: lengths, and what a person should know."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workbench.auto.look import (
    Look,
    Trial,
    _beside,
    at_ceiling,
    lengths_ahead,
    models_for,
    serving_length,
    training_length,
    warnings,
)
from workbench.auto.readable import Tokens

QUERIES = 60


def tokens(p90: int = 200, unknown: float = 0.0) -> Tokens:
    return Tokens(texts=100, mean=100.0, median=90, p90=p90, longest=900, unknown=unknown)


def look(values: dict[int, Any], **changed: Any) -> Look:
    """A look whose own length is 256. ``values``: a length's AP for each query, or for all."""
    about: dict[str, Any] = {
        "own": 256,
        "queries": np.arange(QUERIES),
        "clusters": np.arange(QUERIES),
        "values": {length: np.full(QUERIES, 1.0) * one for length, one in values.items()},
        "bm25": np.full(QUERIES, 0.3),
        "mined": {},
        "words": {},
        "rows": np.arange(10),
        "corpus": 10,
        "positives": np.ones(QUERIES, np.int64),
        "query_tokens": tokens(20),
        "document_tokens": tokens(),
    }
    return Look(**(about | changed))


def noise(size: float, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(0, size, QUERIES)


def test_a_length_that_is_clearly_ahead_is_served() -> None:
    decision = serving_length(look({256: 0.18, 128: 0.27 + noise(0.05)}))
    assert (decision.name, decision.value, decision.by) == ("serving_length", 128, "measured")
    assert "at 128 tokens against .180 at 256, its own length" in decision.reason


def test_the_own_length_stays_where_it_is_best() -> None:
    decision = serving_length(look({256: 0.944, 128: 0.920}))
    assert decision.value == 256
    assert decision.reason == "base MAP on your queries .944 at 256 tokens against .920 at 128"


def test_what_may_be_chance_changes_nothing() -> None:
    ahead = noise(0.4, seed=1)
    ahead += 0.02 - ahead.mean()
    decision = serving_length(look({256: 0.5, 128: 0.5 + ahead, 512: 0.4}))
    assert decision.value == 256
    assert decision.reason == (
        "base MAP on your queries .500 at 256 tokens against .520 at 128 and .400 at 512; what 128 "
        "is ahead may be chance"
    )


def test_a_hair_ahead_of_everyone_changes_nothing() -> None:
    assert serving_length(look({256: 0.5, 128: 0.504})).value == 256
    assert serving_length(look({256: 0.5, 128: 0.506})).value == 128
    # A longer one makes every search dearer.
    assert serving_length(look({256: 0.5, 512: 0.508})).value == 256
    assert serving_length(look({256: 0.5, 512: 0.515})).value == 512


def test_queries_about_one_document_are_one_piece_of_evidence() -> None:
    """Three documents, with twenty queries each, are three, not sixty."""
    ahead = {256: 0.5, 128: 0.55}
    assert serving_length(look(ahead)).value == 128
    few = look(ahead, clusters=np.repeat([0, 1, 2], QUERIES // 3))
    assert serving_length(few).value == 256


def test_what_was_tried_on_a_part_is_told_by_its_difference() -> None:
    found = look({256: 0.722}, trials={128: Trial(0.805, 0.822, 100, 300)})
    said = "base MAP on your queries .722 at 256 tokens against .705 at 128"
    assert serving_length(found).reason == said
    assert found.lengths == [128, 256]
    first, second = found.summary()["lengths"]
    assert (first["length"], first["map@100"], first["own"]) == (128, 0.805, 0.822)
    assert second == {"length": 256, "map@100": pytest.approx(0.722)}


def test_a_length_that_is_ahead_by_chance_is_still_one_to_beat() -> None:
    found = look({256: 0.5, 128: 0.504, 512: 0.4})
    assert serving_length(found).value == 256
    assert lengths_ahead(found, 256) == [128]
    assert lengths_ahead(found, 128) == lengths_ahead(found, 300) == []


def test_where_no_length_matters_the_rule_says_so() -> None:
    decision = serving_length(look({256: 0.5}))
    assert (decision.value, decision.by) == (256, "rule")


def test_chance_alone_seldom_changes_the_length() -> None:
    """Two lengths that are worth the same: another one is taken in about one of forty looks."""
    taken = 0
    for seed in range(200):
        random = np.random.default_rng(seed)
        base = random.uniform(0.2, 0.8, QUERIES)
        values = {256: base, **{n: base + random.normal(0, 0.1, QUERIES) for n in (128, 512)}}
        taken += serving_length(look(values)).value != 256
    assert taken <= 20


@pytest.mark.parametrize(
    ("p90", "serving", "expected"),
    [(100, 256, 112), (300, 256, 256), (250, 256, 256), (8, 256, 32)],
)
def test_training_reads_what_nine_of_ten_documents_need(
    p90: int, serving: int, expected: int
) -> None:
    found = look({256: 0.5}, document_tokens=tokens(p90))
    decision = training_length(found, serving)
    assert (decision.name, decision.value) == ("passage_max_len", expected)


def test_training_reads_as_far_as_serving_where_nothing_can_be_counted() -> None:
    found = look({256: 0.5, 128: 0.7}, document_tokens=None, query_tokens=None)
    assert training_length(found).value == 128
    assert found.unknown == 0.0


def test_unknown_tokens_are_told_with_models_to_start_from() -> None:
    found = look(
        {128: 0.27},
        bm25=np.full(QUERIES, 0.978),
        document_tokens=tokens(unknown=0.594),
        language="zh",
        own=128,
    )
    assert warnings(found) == [
        "59% of your tokens are unknown to this model; BM25 alone has MAP .978 here (this model "
        "has .270). Start from a model of your language, such as BAAI/bge-small-zh-v1.5, "
        "BAAI/bge-base-zh-v1.5, intfloat/multilingual-e5-small."
    ]


def test_queries_alone_that_cannot_be_read_are_told_too() -> None:
    (said,) = warnings(look({256: 0.4}, query_tokens=tokens(unknown=0.7), language="zh"))
    assert said.startswith("70% of your tokens are unknown")
    both = {"query_tokens": tokens(unknown=0.65), "document_tokens": tokens(unknown=0.59)}
    assert look({256: 0.4}, **both).unknown == 0.59


def test_models_of_a_language_that_nothing_is_listed_for_are_those_of_many() -> None:
    assert models_for("sw") == models_for("")
    assert models_for("")[0] == "intfloat/multilingual-e5-small"
    assert models_for("en")[0] == "sentence-transformers/all-MiniLM-L6-v2"


def test_words_alone_that_do_better_are_told() -> None:
    (said,) = warnings(look({256: 0.4}, bm25=np.full(QUERIES, 0.6)))
    assert said.startswith("BM25 alone has MAP .600 on your queries, this model .400")
    assert warnings(look({256: 0.4}, bm25=np.full(QUERIES, 0.43))) == []


def test_the_ceiling_is_told() -> None:
    assert at_ceiling(look({256: 0.944, 128: 0.92}))
    assert not at_ceiling(look({256: 0.9}))
    (said,) = warnings(look({256: 0.944}))
    assert said.startswith("This model has MAP .944 on your queries already")


def test_judged_queries_that_were_not_asked_are_counted() -> None:
    found = look({256: 0.5}, words={row: np.zeros(0, np.int64) for row in range(200)})
    assert (found.summary()["queries"], found.summary()["judged"]) == (QUERIES, 200)


def test_a_look_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    trials = {512: Trial(0.5, 0.6, 20, 30)}
    mined = {3: np.array([5, 1]), 4: np.zeros(0, np.int64), 9: np.array([2])}
    lists = {"mined": mined, "words": {3: np.array([1])}}
    whole = look({256: 0.5 + noise(0.1), 128: 0.4}, trials=trials, language="en", **lists)
    whole.write(tmp_path / "look")
    found = Look.read(tmp_path / "look")
    assert found is not None
    assert found.summary() == whole.summary()
    assert {row: one.tolist() for row, one in found.mined.items()} == {3: [5, 1], 4: [], 9: [2]}
    assert {row: one.tolist() for row, one in found.words.items()} == {3: [1]}
    assert np.array_equal(found.values[256], whole.values[256])
    assert (found.document_tokens, found.trials) == (whole.document_tokens, trials)
    assert found.language == "en"
    assert Look.read(tmp_path) is None


def test_two_jobs_may_keep_the_same_look_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes = iter([7, 8])
    monkeypatch.setattr("os.getpid", lambda: next(processes))
    path = tmp_path / "look.json"
    with _beside(path) as mine:
        mine.write_text("mine")
        with _beside(path) as other:
            other.write_text("other's")
    assert path.read_text() == "mine" and list(tmp_path.iterdir()) == [path]
