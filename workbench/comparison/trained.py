"""What a training run decided, and whether it made the model better: in sentences and rows, for the
page, the terminal, the model's card and reports.

All of it is read from ``train``'s JSON, whose keys a model's summary keeps. Runs that decided
nothing have no decisions and no p-value; what there is to say of them is said elsewhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.comparison.names import label
from workbench.comparison.table import interval_text, p_text
from workbench.plurals import counted

#: Who decided: a measurement on the person's data, a rule, or the person.
MEASURED, RULE, YOU = "measured", "rule", "you"
#: What has to be beaten where nothing else is named.
ORIGINAL = "the original"
#: Of a run that measures on dev queries and has none.
NO_DEV = "The data set has no dev queries, so nothing was measured during training."
#: What decisions are called where the recipe has no field of that name, or calls it less plainly.
NAMES = {
    "serving_length": "Serving length",
    "passage_max_len": "Training length",
    "blend": "Blend with the original",
}
#: The heads of :attr:`Decided.cells`. What is longest stands last: in a terminal the columns before
#: it stay in sight.
HEADS = ("Setting", "Value", "Decided by", "Why")


@dataclass(frozen=True, slots=True)
class Decided:
    """One setting that the run decided, or that the person did."""

    name: str
    value: str
    reason: str
    by: str

    @property
    def cells(self) -> list[str]:
        """Under :data:`HEADS`."""
        return [NAMES.get(self.name, self.name), self.value, self.by, self.reason]


def decided(result: Mapping[str, Any]) -> list[Decided]:
    """The run's decisions in their order; none of a run that made none."""
    return [
        Decided(str(one["name"]), value_text(one["value"]), str(one["reason"]), str(one["by"]))
        for one in result.get("decisions") or ()
    ]


def value_text(value: Any) -> str:
    """'256', '2e-05', 'yes'; '' for nothing."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def is_tested(result: Mapping[str, Any]) -> bool:
    """Whether the run was held against the original on queries that it was not trained on."""
    return result.get("p_value") is not None


def verdict(result: Mapping[str, Any]) -> str:
    """What the test says and which model to use, in a sentence or two; '' where none was made.

    'Better than the original: MAP@100 0.636 against 0.605, +0.031 [+0.012, +0.051], p = 0.001, 432
    queries in 80 groups; use minilm-scifact.'
    """
    if not is_tested(result):
        return ""
    against = result.get("baseline_name") or ORIGINAL
    amount = _amount(result)
    if result["beats_base"]:
        return f"Better than {against}: {amount}; use {result['recommended']}."
    kept = f"The trained model is kept as {result['model']}."
    return f"Not shown to be better than {against}: {amount}; keep {result['recommended']}. {kept}"


def unmeasured(result: Mapping[str, Any]) -> str:
    """Why nothing was measured, in sentences, of a run without values."""
    if why := result.get("unmeasured"):
        return f"{why} Until you have compared them, keep {result['recommended']}."
    return NO_DEV


def _amount(result: Mapping[str, Any]) -> str:
    metric = result["metric"]
    before, after = result["baseline"][metric], result["best"][metric]
    parts = [f"{label(metric)} {after:.3f} against {before:.3f}", difference(result)]
    return ", ".join([*parts, *filter(None, [asked(result)])])


def difference(result: Mapping[str, Any]) -> str:
    """'+0.031 [+0.012, +0.051], p = 0.001', of a run that was tested; '[-]' for an interval that
    so few groups of queries do not give."""
    metric = result["metric"]
    delta = result["best"][metric] - result["baseline"][metric]
    return _difference(delta, result["ci95"], result["p_value"])


def _difference(delta: float, ci95: Sequence[float] | None, p_value: float) -> str:
    """``ci95``: None where there are too few groups of queries for any."""
    p = p_text(p_value)
    interval = interval_text(*(ci95 or (None, None)))
    return f"{delta:+.3f} {interval}, p {p if p.startswith('<') else f'= {p}'}"


def asked(result: Mapping[str, Any]) -> str:
    """'432 queries in 80 groups'; '' where that is not known. Queries that share a relevant
    document are one group: they are no independent evidence."""
    queries = int(result.get("dev_queries") or 0)
    if not queries:
        return ""
    groups = int(result.get("groups") or queries)
    return f"{queries:,} queries" + (f" in {groups:,} groups" if groups < queries else "")


def estimate(result: Mapping[str, Any]) -> str:
    """How the difference was estimated, in a sentence; '' where it was not tested."""
    if not is_tested(result):
        return ""
    if seeds := result.get("seeds"):
        return str(seeds["sentence"])
    folds = int(result.get("folds") or 0)
    if folds > 1:
        return (
            f"Each query was judged by a model that was trained without it, in {folds} folds; the "
            "model that is kept was then trained on all of them."
        )
    return (
        "These queries were kept out of the training that was measured; the model that is kept was "
        "then trained on all of them."
    )


def of_looks(result: Mapping[str, Any]) -> str:
    """That a value is the highest of several, where a run was written so; else ''."""
    looks = int(result.get("looks") or 0)
    if looks < 2 or is_tested(result):
        return ""
    return (
        f"The value after training is the highest of {looks} evaluations on the same dev queries, "
        "so it is too good: compare on the test split before you decide."
    )


# What training cost elsewhere: the model on a general data set, by the share of trained weights.

#: A smaller share is named if it would keep this part of the gain and lose this part at most, where
#: the loss is more than luck (below this p-value).
KEEPS, LOSES, SURE = 0.8, 0.5, 0.05


def forgotten(result: Mapping[str, Any]) -> str:
    """What the trained model is worth on the general data set, in a sentence; why that was not
    measured; '' where there is no such set.

    'On the general set stdlib-code: MAP@100 0.710 -> 0.680 (-0.030 [-0.051, -0.009], p = 0.004; 100
    queries over 300 documents).'
    """
    found = result.get("forgetting") or {}
    if "curve" not in found:
        return str(found.get("note", ""))
    amount = _difference(found["delta"], found["ci95"], found["p_value"])
    return (
        f"On the general set {found['dataset']}: {label(found['metric'])} "
        f"{_at(found, 0.0):.3f} -> {_at(found, found['kept']):.3f} ({amount}; "
        f"{found['queries']:,} queries over {found['documents']:,} documents)."
    )


def smaller_share(result: Mapping[str, Any]) -> str:
    """That a smaller share of the trained weights would keep most of the gain and lose less on the
    general set, in a sentence; '' where none would."""
    found = result.get("forgetting") or {}
    if "curve" not in found or found["p_value"] >= SURE or found["delta"] >= 0:
        return ""
    own = {one["ratio"]: one["own"] for one in found["curve"] if one["own"] is not None}
    kept, lost = found["kept"], -found["delta"]
    gain = own[kept] - own[0.0] if kept in own and 0.0 in own else 0.0
    good = [
        (own[ratio] - own[0.0], ratio)
        for ratio in own
        if 0.0 < ratio < kept
        and gain > 0
        and own[ratio] - own[0.0] >= KEEPS * gain
        and _at(found, 0.0) - _at(found, ratio) <= LOSES * lost
    ]
    if not good:
        return ""
    keeps, ratio = max(good)
    less = max(0.0, _at(found, 0.0) - _at(found, ratio))
    return (
        f"With {ratio:g} of the trained weights, the rest being the base's, the model would keep "
        f"{keeps / gain:.0%} of its gain on your queries and lose {less:.3f} instead of {lost:.3f} "
        f"on {found['dataset']}: blend it with its base on Models."
    )


def forgetting_table(result: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Heads and cells: the metric on the person's queries and on the general set, by the share of
    the trained weights; no cells where that was not measured."""
    found = result.get("forgetting") or {}
    heads = ["Share of the trained weights", "Your queries", "General set"]
    names = {0.0: " (base)", found.get("kept"): " (kept)"}
    rows = [
        [
            f"{one['ratio']:g}{names.get(one['ratio'], '')}",
            "" if one["own"] is None else f"{one['own']:.3f}",
            f"{one['general']:.3f}",
        ]
        for one in found.get("curve", ())
    ]
    return heads, rows


def _at(found: Mapping[str, Any], ratio: float) -> float:
    """The metric on the general set at that share."""
    return next(float(one["general"]) for one in found["curve"] if one["ratio"] == ratio)


# What a look at the data found before anything was trained.


def look_table(result: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Heads and cells: the base model at each length, and BM25; no cells without a look."""
    look = result.get("look") or {}
    rows = [[f"{int(one['length']):,}", f"{float(one['map@100']):.3f}"] for one in _lengths(look)]
    if rows and look.get("bm25") is not None:
        rows.append(["BM25", f"{float(look['bm25']):.3f}"])
    return ["Document length in tokens", label("map@100")], rows


def looked(result: Mapping[str, Any]) -> str:
    """Over what the look was taken, in a sentence; '' where there was none."""
    look = result.get("look") or {}
    if not _lengths(look):
        return ""
    said = (
        f"The base model on {int(look['queries']):,} of your queries over "
        f"{int(look['documents']):,} documents, before training."
    )
    unknown = float(look.get("unknown") or 0)
    if unknown < LEAST_UNKNOWN:
        return said
    return f"{said} {unknown:.0%} of your tokens are unknown to it."


def expected(result: Mapping[str, Any]) -> str:
    """What the look made one expect of training, and how often that came true, in a sentence or
    two; '' where nothing was forecast.

    'Expected from the look: about +0.04 MAP@100 (four of five times between +0.01 and +0.08). Such
    forecasts were right in 3 of 4 earlier runs.'
    """
    told = result.get("forecast")
    if not told:
        return ""
    digits = 2 if told["gain"] >= ROUGH else 3
    gain, low, high = (_rounded(told[name], digits) for name in ("gain", "low", "high"))
    said = (
        f"Expected from the look: about {gain} {label('map@100')} "
        f"(four of five times between {low} and {high})."
    )
    if not told.get("runs"):
        return said
    runs = counted(int(told["runs"]), "earlier run")
    return f"{said} Such forecasts were right in {int(told['right']):,} of {runs}."


#: Gains from here on are rough enough for two digits.
ROUGH = 0.02


def _rounded(value: float, digits: int) -> str:
    """With its sign; what is rounded to nothing is '+0.00'."""
    return f"{round(value, digits) + 0.0:+.{digits}f}"


#: A share of unknown tokens below this is not worth a word.
LEAST_UNKNOWN = 0.01


def warnings(result: Mapping[str, Any]) -> list[str]:
    """What the look warns of, in sentences."""
    return [str(one) for one in (result.get("look") or {}).get("warnings") or ()]


def _lengths(look: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return look.get("lengths") or ()
