"""Slices of queries, what was forgotten, and two recipes' differences."""

from typing import Any

import numpy as np
import pytest

from workbench.comparison.significance import randomization_interval
from workbench.comparison.slices import RELEVANT, bucket, languages, script, slicings
from workbench.comparison.text import forgetting
from workbench.reports.history import recipe_differences, value_text


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("how do I sort a list?", "Latin"),
        ("如何对列表排序", "Chinese characters"),
        ("リストを並べ替える方法", "Japanese kana"),
        ("как отсортировать список", "Cyrillic"),
        ("목록 정렬", "Korean"),
        ("用 numpy 排序 array", "mixed"),
        ("用 A 排序这个列表的方法", "Chinese characters"),
        ("1234 ?", "no letters"),
        ("", "no letters"),
    ],
)
def test_the_script_of_a_query(text: str, name: str) -> None:
    assert script(text) == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("what is the capital of france and where is it located", "English"),
        ("Wie kann ich einen Antrag auf Elterngeld stellen", "German"),
        ("comment faire une demande de passeport ici", "French"),
        ("如何申请护照", "Chinese"),  # As short as the next ones, but in no other language.
        ("python json dump", "unknown"),
        ("1234 ?", "unknown"),
        ("", "unknown"),
        ("これはどうやるの", "Japanese"),
    ],
)
def test_the_language_of_a_query(text: str, name: str) -> None:
    assert languages([text] * 10) == [name] * 10


def test_what_is_too_short_alone_is_told_among_the_languages_of_the_data() -> None:
    german = ["Wie kann ich einen Antrag auf Elterngeld stellen"] * 5
    english = ["what is the capital of france and where is it located"] * 5
    short = ["how do I do this", "x", "comment faire ceci avec du fromage"]
    found = languages([*german, *english, *short])
    assert found[10] == "English" and languages(short[:1]) == ["unknown"]
    # Too short for either; and what is likeliest in a third language is not forced into one.
    assert found[11:] == ["unknown", "other languages"]


def test_languages_are_told_apart_where_scripts_are_not() -> None:
    german = [f"Wie kann ich einen Antrag auf Elterngeld stellen, Herr {n}" for n in range(20)]
    english = [f"what is the capital of france and where is it, number {n}" for n in range(30)]
    texts = [*german, *english, *["x"] * 40, "comment faire une demande de passeport ici"]
    values = {"base": np.repeat([0.2, 0.4, 0.6, 0.0], [20, 30, 40, 1])}
    found = {one.by: one for one in slicings(texts, [1] * 91, values, metric="map@100", seed=1)}
    by = {one.name: one.queries for one in found["language"].slices}
    # The commonest first, what cannot be told last; one query of a language is no group.
    assert by == {"English": 30, "German": 20, "other languages": 1, "unknown": 40}
    assert list(by)[-1] == "unknown" and next(iter(by)) == "English"
    assert found["language"].slices[1].values[0][0] == pytest.approx(0.2)
    assert "script" not in found
    # English beside what is too short to tell: no division by language.
    some = slicings(texts[20:90], [1] * 70, {"base": np.ones(70)}, metric="map@100", seed=1)
    assert "language" not in {one.by for one in some}


def test_buckets() -> None:
    found = [bucket(number, RELEVANT) for number in (0, 1, 2, 3, 5, 6, 10, 11, 99)]
    more = "11 and more"
    assert found == ["0–1", "1", "2", "3–5", "3–5", "6–10", "6–10", more, more]


def test_each_slice_has_its_mean_count_and_interval() -> None:
    texts = ["short"] * 30 + ["q" * 80] * 50 + ["短い質問を"] * 20
    values = {"base": np.repeat([0.2, 0.4, 0.9], [30, 50, 20]), "tuned": np.full(100, 0.5)}
    found = {one.by: one for one in slicings(texts, [1] * 100, values, metric="map@100", seed=1)}
    # All queries have one relevant document: nothing to divide by.
    assert set(found) == {"length", "script"}
    assert found["length"].models == ("base", "tuned")
    by = {one.name: one for one in found["length"].slices}
    assert [one.name for one in found["length"].slices] == ["1–20", "51–100"]
    assert by["51–100"].queries == 50
    assert by["51–100"].values[0] == pytest.approx((0.4, 0.4, 0.4))
    mean, low, high = by["1–20"].values[0]
    assert mean == pytest.approx((30 * 0.2 + 20 * 0.9) / 50) and low < mean < high
    # The commonest script first.
    assert [one.name for one in found["script"].slices] == ["Latin", "Japanese kana"]


def test_a_slice_of_few_groups_has_a_wider_interval_or_none() -> None:
    """Percentiles of so few groups are too narrow; of fewer than six nothing is rejected."""
    random = np.random.default_rng(1)
    texts = ["short"] * 40 + ["q" * 80] * 60
    values = {"base": random.uniform(0.2, 0.8, 100)}
    clusters = np.concatenate([np.arange(40) % 4, 4 + np.arange(60) % 7])
    found = slicings(texts, [1] * 100, values, metric="map@100", seed=1, clusters=clusters)
    few, seven = next(one for one in found if one.by == "length").slices
    assert (few.clusters, few.values[0][1:]) == (4, (None, None))
    sums = np.bincount(clusters[40:] - 4, values["base"][40:])
    expected = randomization_interval(sums, np.bincount(clusters[40:] - 4).astype(float))
    assert (seven.clusters, seven.values[0][1:]) == (7, expected)


def measured(dataset: str, delta: float, low: float, p_value: float) -> dict[str, Any]:
    compared = {"model": "tuned", "against": "base", "metric": "map@100", "delta": delta}
    counts = {"p_value": p_value, "wins": 1, "losses": 1, "ties": 1}
    rows = [{"model": name, "queries": 300, "map@100": 0.5} for name in ("base", "tuned")]
    interval = {"ci95": [low, delta + 0.02]}
    return {
        "dataset": dataset,
        "split": "test",
        "rows": rows,
        "comparisons": [{**compared, **interval, **counts}],
    }


@pytest.mark.parametrize(
    ("delta", "low", "p_value", "tone", "words"),
    [
        (
            -0.05,
            -0.07,
            0.001,
            "bad",
            "but worse on news (-0.050 MAP@100): it has lost ground there.",
        ),
        (0.03, 0.01, 0.001, "good", "and better on news (+0.030 MAP@100)."),
        (-0.01, -0.04, 0.4, "", "a loss of more than 0.040 is unlikely there."),
    ],
)
def test_what_was_forgotten_is_said(
    delta: float, low: float, p_value: float, tone: str, words: str
) -> None:
    result = {
        **measured("tea", 0.1, 0.05, 0.001),
        "second_dataset": measured("news", delta, low, p_value),
    }
    (found,) = forgetting(result)
    assert found.tone == tone and found.text.endswith(words)
    assert found.text.startswith("tuned: better on tea (+0.100 MAP@100)")
    assert forgetting(measured("tea", 0.1, 0.05, 0.001)) == []
    few = {**measured("news", -0.01, -0.04, 0.4)}
    few["rows"] = [{**row, "queries": 20} for row in few["rows"]]
    (unknown,) = forgetting({**result, "second_dataset": few})
    assert unknown.text.endswith("on news too few queries to judge (-0.010 MAP@100).")
    # BM25 learned nothing.
    bm25 = [{**row, "kind": "bm25"} for row in result["rows"]]
    assert forgetting({**result, "rows": bm25}) == []


def test_only_what_differs_in_two_recipes() -> None:
    first = {"epochs": 1, "seed": 7, "values": {"rate": 0.1, "same": [1]}, "old": True}
    second = {"epochs": 2, "seed": 7, "values": {"rate": 0.2, "same": [1]}, "names": ["a", "b"]}
    found = {one.field: (one.first, one.second) for one in recipe_differences(first, second)}
    assert found == {
        "epochs": (1, 2),
        "values.rate": (0.1, 0.2),
        "old": (True, None),
        "names": (None, ["a", "b"]),
    }
    assert recipe_differences(first, first) == []
    assert [value_text(value) for value in (None, True, ["a", "b"], "", 0)] == [
        *("—", "yes", "a, b", "—", "0")
    ]
