"""The task 'data-check': one check after the other; the report is kept in the job's folder."""

from collections.abc import Callable, Iterator
from typing import Any

from workbench.data_check.checked import CheckedVersion
from workbench.data_check.duplicates import leaks, near_documents, same_texts
from workbench.data_check.judgments import imbalance, popular, positive_is_negative
from workbench.data_check.languages import languages, pair_languages
from workbench.data_check.lengths import cut_pairs, cut_texts, odd_documents, odd_pairs, odd_queries
from workbench.data_check.queries import (
    captions,
    near_leaks,
    near_pairs,
    near_queries,
    pair_leaks,
    same_pairs,
    weak_pairs,
    weak_queries,
)
from workbench.data_check.report import Finding, save
from workbench.data_check.suspects import false_negatives, refuse_judge
from workbench.errors import NotFound
from workbench.evaluation.named import find
from workbench.jobs.reporting import JobContext
from workbench.recipes.data import CHECKS, DataCheckRecipe
from workbench.workspace import Workspace

_Look = Callable[[CheckedVersion], Iterator[Finding]]
#: Each check: what is said meanwhile, and the looks it takes.
_CHECKS: dict[str, tuple[str, tuple[_Look, ...]]] = {
    "queries": ("looking at queries", (weak_queries, weak_pairs)),
    "texts": ("looking at texts", (odd_queries, odd_documents, odd_pairs)),
    "splits": ("comparing splits", (leaks, near_leaks, pair_leaks)),
    "duplicates": ("looking for duplicates", (same_texts, same_pairs)),
    "near-duplicates": (
        "looking for near duplicates",
        (near_queries, near_documents, near_pairs),
    ),
    "captions": ("looking at captions", (captions,)),
    "negatives": ("comparing positives and negatives", (positive_is_negative,)),
    "popular": ("counting judgments", (popular,)),
    "imbalance": ("counting labels", (imbalance,)),
    "languages": ("telling languages", (languages, pair_languages)),
    "cut": ("counting tokens", (cut_texts, cut_pairs)),
    "false-negatives": ("asking the judge", (false_negatives,)),
}
_WEIGHT = {"error": 0, "warning": 1, "note": 2}


def run(recipe: DataCheckRecipe, context: JobContext) -> dict[str, Any]:
    """Run the checks; returns the report without its examples, which stay in the job's folder."""
    reader = context.workspace.datasets.read(recipe.dataset, recipe.dataset_version)
    data = CheckedVersion(recipe, context, reader)
    chosen = [name for name in CHECKS if not recipe.checks or name in recipe.checks]
    if not recipe.tokenizer and "cut" in chosen:
        chosen.remove("cut")
        data.notes.append("Truncated texts were not checked: no model was chosen to count tokens.")
    findings: list[Finding] = []
    for place, name in enumerate(chosen):
        doing, looks = _CHECKS[name]
        data.begin(place, len(chosen), doing)
        for look in looks:
            findings += look(data)
    data.begin(len(chosen), len(chosen), "writing the report")
    findings.sort(key=lambda one: (_WEIGHT[one.severity], -one.share))
    told = [one.to_dict() for one in findings]
    report = {
        "dataset": reader.name,
        "dataset_id": context.workspace.datasets.get(reader.name).id,
        "version": reader.version,
        "checks": chosen,
        "notes": data.notes,
        "findings": told,
    }
    save(context.folder, report, findings)
    brief = [{**one, "examples": len(one["examples"])} for one in told]
    return {**report, "findings": brief}


def prepare_check(recipe: DataCheckRecipe, workspace: Workspace, _waits: bool) -> DataCheckRecipe:
    """Raises :class:`BadInput` for checks that there are not, and for what cannot judge."""
    for check in recipe.checks:
        if check not in CHECKS:
            raise NotFound.among("check", check, CHECKS, f"There are: {', '.join(CHECKS)}.")
    if recipe.judge:
        refuse_judge(recipe.judge, find(workspace, recipe.judge).kind)
    return recipe
