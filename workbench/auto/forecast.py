"""What training may gain, told from a look alone before anything is trained; and how often such
forecasts held in a person's own runs.

A rough rule from seven measurements with all-MiniLM-L6-v2 on public sets of 178 to 10,000 queries:
training wins back a share of what the base misses (1 - MAP), about a fifth with 800 queries and
growing with the square root of their number. The shares measured lay between .7 and 2.1 times the
rule's; with so few, twice and half are taken as the limits of four in five cases. The luck of the
queries that a gain is measured on comes on top.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from storage.records import JobStatus
from workbench.auto import decisions
from workbench.comparison.names import HEADLINE
from workbench.recipes.train import TrainRecipe
from workbench.workspace import Workspace

#: The share of what the base misses that is won back with so many queries, and its limits.
SHARE, QUERIES = 0.2, 800
LEAST, MOST = 0.1, 0.8
#: By how much a share may be larger, or smaller, in four of five cases.
FACTOR = 2.0
#: Standard errors to either side that hold four of five.
DEVIATIONS = 1.28
#: The spread of a query's gain, as a part of the most that its AP could vary at this mean.
SPREAD = 0.6


@dataclass(frozen=True, slots=True)
class Forecast:
    """The gain in MAP@100 over the base at its best length; four of five lie within the limits."""

    gain: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class TrackRecord:
    """Of so many runs whose gain could be forecast, those whose gain lay within the limits."""

    runs: int
    right: int


def forecast(look: Mapping[str, Any]) -> Forecast | None:
    """``look``: what a result says of it (``lengths``, each with the base's MAP, and the queries
    that were ``judged``; without that those that were asked, ``queries``). None where it says too
    little."""
    base, queries = _base(look), int(look.get("judged") or look.get("queries") or 0)
    if base is None or queries < 1:
        return None
    missing = 1.0 - base
    gain = missing * min(MOST, max(LEAST, SHARE * (queries / QUERIES) ** 0.5))
    # Many queries are not all measured on.
    measured = queries if queries < decisions.FOLDED else decisions.held_out(queries)
    luck = DEVIATIONS * SPREAD * (base * missing / measured) ** 0.5
    below = ((gain - gain / FACTOR) ** 2 + luck**2) ** 0.5
    above = ((gain * FACTOR - gain) ** 2 + luck**2) ** 0.5
    return Forecast(gain, gain - below, min(missing, gain + above))


def expectation(
    workspace: Workspace, recipe: TrainRecipe, look: Mapping[str, Any]
) -> dict[str, float] | None:
    """The forecast of a run with its track record, as a result keeps it: ``gain``, ``low``,
    ``high``, and of so many ``runs`` of the same kind in the workspace the ``right`` ones. None
    where the look says too little."""
    judged = look.get("judged")
    if judged and recipe.max_rows:
        look = {**look, "judged": min(judged, recipe.max_rows)}
    found = forecast(look)
    if found is None:
        return None
    past = workspace.jobs.list(JobStatus.SUCCEEDED, recipe.task)
    return {**asdict(found), **asdict(track_record(one.result or {} for one in past))}


def track_record(results: Iterable[Mapping[str, Any]]) -> TrackRecord:
    """How forecasts did on past training runs, by their results; those from before there were any
    are forecast now. Only those count whose gain was measured on queries that chose nothing (they
    have a p-value)."""
    runs = right = 0
    for result in results:
        found, gained = _forecast_of(result), _gained(result)
        if found is not None and gained is not None:
            runs += 1
            right += found.low <= gained <= found.high
    return TrackRecord(runs, right)


def _forecast_of(result: Mapping[str, Any]) -> Forecast | None:
    told = result.get("forecast")
    if not told:
        return forecast(result.get("look") or {})
    return Forecast(float(told["gain"]), float(told["low"]), float(told["high"]))


def _base(look: Mapping[str, Any]) -> float | None:
    """The base's MAP at its best length; lengths that were tried on fewer queries do not count."""
    tried = look.get("lengths") or ()
    found = [float(one[HEADLINE]) for one in tried if HEADLINE in one and "own" not in one]
    return max(found, default=None)


def _gained(result: Mapping[str, Any]) -> float | None:
    before, after = (result.get(name) or {} for name in ("baseline", "best"))
    if result.get("p_value") is None or HEADLINE not in before or HEADLINE not in after:
        return None
    return float(after[HEADLINE]) - float(before[HEADLINE])
