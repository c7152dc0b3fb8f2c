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
#: So many rows tell whether the numbers of a file are grades or scores.
_LOOKED_AT = 1_000


def finder(
    one: Input, scores: str, log: ProblemLog, look: Callable[[int], None], scratch: Path
) -> tuple[Find, bool]:
    """What recognises the file's rows, and whether each is one grade of a query.

    What a number beside two texts means is decided once for a file, by its first rows.
    """
    plan = recognise(one.sample, scores)
    if plan.family not in ("graded", "pairs"):
        return partial(recognise, scores=scores), False
    if scores == "auto" and plan.score is not None:
        silent = replace(one, report=Report(log, one.source.label, quiet=True))
        first = islice(silent.records(look, scratch), _LOOKED_AT)
        values = [row.get(plan.score) for _, row in first if row.get(plan.score) is not None]
        scores = "grades" if are_grades(values) else "pairs"
    family = recognise(one.sample, scores).family
    return partial(recognise, scores=scores), family == "graded"
