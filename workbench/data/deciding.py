"""How the rows of one file are recognised, decided before the first is read."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from workbench.data.intake import Input
from workbench.data.problems import ProblemLog
from workbench.data.report import Report
from workbench.data.shapes.recognise import recognise
from workbench.data.shapes.row import Plan
from workbench.data.shapes.scored import are_grades

Find = Callable[[dict[str, Any]], Plan]
#: So many rows tell whether the numbers of a file are grades or scores, and what columns hold.
_LOOKED_AT, _SEEN = 1_000, 20


def finder(
    one: Input, scores: str, log: ProblemLog, look: Callable[[int], None], scratch: Path
) -> tuple[Find, bool]:
    """What recognises the file's rows, and whether each is one grade of a query.

    What a number beside two texts means is decided once for a file, by its first rows.
    """
    silent = replace(one, report=Report(log, one.source.label, quiet=True))
    first = silent.records(look, scratch)
    seen = [row for _, row in islice(first, _SEEN)]
    sample = seen[0] if seen else one.sample
    plan = recognise(sample, scores, seen)
    if plan.family in ("graded", "pairs") and plan.score is not None:
        # Only the numbers are kept of the rows that follow.
        rest = islice(first, _LOOKED_AT - len(seen))
        seen += [{plan.score: row.get(plan.score)} for _, row in rest]
        if scores == "auto":
            values = [row[plan.score] for row in seen if row.get(plan.score) is not None]
            scores = "grades" if are_grades(values) else "pairs"
    find = partial(recognise, scores=scores, seen=seen)
    return find, find(sample).family == "graded"
