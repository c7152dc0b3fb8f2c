"""The task 'data-fix': what the data check found, changed in a new version of the data set."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from workbench.data.edit import Changes, keys_of
from workbench.data.reader import DatasetReader
from workbench.data.versions import new_version
from workbench.data_check.report import REPORT, ROWS, WIDTHS, numbers
from workbench.errors import BadInput, JobNotFound, NotFound
from workbench.jobs.reporting import JobContext
from workbench.recipes.data import DataCheckRecipe, DataFixRecipe
from workbench.records import Job, JobStatus
from workbench.workspace import Workspace

Array = np.ndarray[Any, Any]


def run(recipe: DataFixRecipe, context: JobContext) -> dict[str, Any]:
    """Fix; returns the new version and what changed. Raises :class:`BadInput`."""
    workspace = context.workspace
    id = find_report(workspace, recipe.dataset, recipe.report)
    report = read_report(workspace, id)
    refuse_other_version(workspace, recipe.dataset, report)
    codes = codes_of(report, recipe.fixes)
    context.progress(0, None, "", "fixing")
    reader = workspace.datasets.read(recipe.dataset, report["version"])
    before = counts_of(reader)
    changes = changes_of(reader, _rows(workspace, id, codes))
    asked = {fix["code"]: fix for one in report["findings"] for fix in one["fixes"]}
    sentences = [asked[code]["sentence"] for code in codes]
    how = {
        "what": "fixed: " + ", ".join(codes),
        "by": recipe.task,
        "recipe": recipe.model_dump(mode="json"),
        "job": context.job.id if context.job is not None else None,
        "counts": {code: asked[code]["counts"] for code in codes},
    }

    def result(made: DatasetReader) -> dict[str, Any]:
        return {
            "dataset": reader.name,
            "from_version": reader.version,
            "version": made.version,
            "fixes": codes,
            "sentences": sentences,
            "before": before,
            "after": counts_of(made),
        }

    number = new_version(
        workspace, recipe.dataset, changes, how, context, report["version"], result
    )
    return result(workspace.datasets.read(recipe.dataset, number))


def counts_of(reader: DatasetReader) -> dict[str, int]:
    kinds = ("queries", "documents", "judgments", "candidates", "pairs")
    return {kind: int(reader.counts[kind]) for kind in kinds}


def last_check(workspace: Workspace, dataset: str) -> Job | None:
    """The newest data check of a data set, whether it succeeded or not."""
    found = workspace.jobs.about(dataset, DataCheckRecipe.task)
    return found[0] if found else None


def fresh_report(
    workspace: Workspace, dataset: str, settings: Mapping[str, Any], fixes: Sequence[str]
) -> str | None:
    """The id of the newest data check of this very version that was made with these settings and
    offers these fixes; None where the data has to be checked again."""
    known = workspace.datasets.get(dataset)
    for job in workspace.jobs.about(dataset, DataCheckRecipe.task, JobStatus.SUCCEEDED):
        if any(job.recipe.get(name) != value for name, value in settings.items()):
            continue
        if not (workspace.jobs.folder(job.id) / REPORT).is_file():
            continue
        report = read_report(workspace, job.id)
        offered = {fix["code"] for one in report["findings"] for fix in one["fixes"]}
        offered |= {one["code"] for one in report["findings"] if one["fixes"]}
        same = (report.get("dataset_id"), report["version"]) == (known.id, known.version)
        if same and offered.issuperset(fixes):
            return job.id
    return None


def read_report(workspace: Workspace, id: str) -> dict[str, Any]:
    """The whole report of a data check, with its examples; raises :class:`BadInput`."""
    path = workspace.jobs.folder(workspace.jobs.get(id).id) / REPORT
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BadInput(f"The job {id} has no report.", "Run the data check first.") from error
    return found


def find_report(workspace: Workspace, dataset: str, id: str = "") -> str:
    """The id of the data check that is meant; raises :class:`BadInput`."""
    if id:
        job = workspace.jobs.get(id)
        known = workspace.jobs.about(dataset, DataCheckRecipe.task)
        if job.id not in [one.id for one in known]:
            raise JobNotFound(
                f"Job {job.id} is not a data check of '{dataset}'.", "Run the data check on it."
            )
        return job.id
    job_found = last_check(workspace, dataset)
    if job_found is None or job_found.status is not JobStatus.SUCCEEDED:
        raise BadInput(f"'{dataset}' has not been checked yet.", "Run the data check first.")
    return job_found.id


def refuse_other_version(workspace: Workspace, dataset: str, report: dict[str, Any]) -> None:
    """A fix is about rows of one version, and of that one only."""
    known = workspace.datasets.get(dataset)
    current = known.version
    # Reports of an earlier day do not say which data set they are about.
    if report.get("dataset_id", known.id) != known.id:
        raise BadInput(
            f"The report is about another data set of the name '{dataset}'.",
            "Run the data check on this one.",
        )
    if report["version"] != current:
        raise BadInput(
            f"'{dataset}' was checked as version {report['version']}, but is now at version "
            f"{current}: the rows that were found may have changed.",
            "Run the data check again, then fix.",
        )


def codes_of(report: dict[str, Any], wanted: Iterable[str]) -> list[str]:
    """The fixes that are meant, each once; a finding's code stands for its fixes."""
    by_finding = {one["code"]: [m["code"] for m in one["fixes"]] for one in report["findings"]}
    known = [code for codes in by_finding.values() for code in codes]
    found: list[str] = []
    for code in wanted:
        if code in by_finding and not by_finding[code]:
            raise BadInput(f"There is no fix for '{code}'.", "Choose another.")
        if code not in by_finding and code not in known:
            hint = f"Offered: {', '.join(known)}." if known else "There is nothing to fix."
            raise NotFound.among("fix", code, [*by_finding, *known], hint)
        found += by_finding.get(code, [code])
    return list(dict.fromkeys(found))


def _rows(workspace: Workspace, id: str, codes: list[str]) -> dict[str, Array]:
    """Kind of change -> the rows of all these fixes together."""
    found: dict[str, list[Array]] = {kind: [] for kind in WIDTHS}
    with np.load(workspace.jobs.folder(id) / ROWS) as held:
        for code in codes:
            for kind in WIDTHS:
                if f"{code}.{kind}" in held:
                    found[kind].append(held[f"{code}.{kind}"])
    return {
        kind: np.unique(np.concatenate([numbers((), WIDTHS[kind]), *parts]), axis=0)
        for kind, parts in found.items()
    }


def changes_of(reader: DatasetReader, rows: dict[str, Array]) -> Changes:
    """What is to change, in the version's own rows."""
    dropped = rows["drop_queries"][:, 0]
    same = rows["same_queries"]
    # A query that is left out takes nothing over: its double stays instead.
    same = same[~np.isin(same, dropped).any(axis=1)]
    heir = dict(same.tolist())
    wrong = keys_of(*rows["drop_judgments"].T), keys_of(*rows["drop_candidates"].T)
    return Changes(
        drop_queries=np.union1d(dropped, same[:, 0]),
        same_documents=dict(rows["same_documents"].tolist()),
        drop_judgments=rows["drop_judgments"],
        drop_candidates=rows["drop_candidates"],
        add_judgments=_judgments(reader, heir, wrong[0]),
        candidates=_candidates(reader, heir, wrong[1]),
        drop_pairs=rows["drop_pairs"][:, 0],
    )


def _judgments(reader: DatasetReader, heir: dict[int, int], wrong: Array) -> Array:
    """What was judged for a query's double, judged for the query."""
    found = [np.zeros((0, 3), np.int64)]
    for table in reader.iter_edges("judgments") if heir else ():
        query, document = table["query"].to_numpy(), table["document"].to_numpy()
        mine = np.isin(query, list(heir)) & ~np.isin(keys_of(query, document), wrong)
        heirs = [heir[row] for row in query[mine].tolist()]
        found.append(np.stack([heirs, document[mine], table["grade"].to_numpy()[mine]], axis=1))
    return np.concatenate(found)


def _candidates(reader: DatasetReader, heir: dict[int, int], wrong: Array) -> pa.Table | None:
    """The same for candidates; what the query has itself stays as it is."""
    parts, known = [], np.zeros(0, np.int64)
    for table in reader.iter_edges("candidates") if heir else ():
        query, document = table["query"].to_numpy(), table["document"].to_numpy()
        keys = keys_of(query, document)
        known = np.concatenate([known, keys[np.isin(query, list(heir.values()))]])
        mine = np.isin(query, list(heir)) & ~np.isin(keys, wrong)
        part = table.filter(pa.array(mine))
        heirs = pa.array([heir[row] for row in query[mine].tolist()], pa.int64())
        parts.append(part.set_column(0, "query", heirs))
    if not parts:
        return None
    whole = pa.concat_tables(parts)
    fresh = ~np.isin(keys_of(whole["query"].to_numpy(), whole["document"].to_numpy()), known)
    return whole.filter(pa.array(fresh)) if fresh.any() else None


def prepare_fix(recipe: DataFixRecipe, workspace: Workspace, waits: bool) -> DataFixRecipe:
    """With the report, its version, and the fixes by their own codes. Raises :class:`BadInput`."""
    if waits:
        return recipe
    workspace.datasets.get(recipe.dataset)
    id = find_report(workspace, recipe.dataset, recipe.report)
    report = read_report(workspace, id)
    if recipe.dataset_version not in (None, report["version"]):
        raise BadInput(
            f"The report is about version {report['version']}, not {recipe.dataset_version}.",
            "Check that version first.",
        )
    refuse_other_version(workspace, recipe.dataset, report)
    known = {
        "report": id,
        "dataset_version": report["version"],
        "fixes": codes_of(report, recipe.fixes),
    }
    return recipe.model_copy(update=known)
