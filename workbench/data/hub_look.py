"""The task 'hub-look': what a hub's data set has, and its first rows, kept in the job's folder.

The page asks the network for nothing itself: a preview of 'hf:OWNER/NAME' reads the rows that the
newest look at it has left (:func:`sample`), as it would read files.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.data import hub as hubs
from workbench.data.problems import ProblemLog
from workbench.data.sources import Source, named
from workbench.jobs.reporting import JobContext
from workbench.recipes.data import HubLookRecipe
from workbench.records import Job, JobStatus
from workbench.workspace import Workspace

#: Rows of each split that are fetched: as many as a preview looks at.
ROWS = 200
#: Splits that rows are fetched of. Some sets have one for each of a hundred languages.
_SPLITS = 12
_FOLDER = "sample"


@dataclass(frozen=True, slots=True)
class Look:
    """What was found. ``files``: split -> files below ``folder``, '' for a corpus and queries."""

    job: str
    repo: str
    subset: str
    subsets: list[str]
    splits: list[str]
    files: dict[str, list[str]]
    folder: Path


def prepare(recipe: HubLookRecipe, workspace: Workspace, waits: bool = False) -> HubLookRecipe:
    """The recipe with a plain id; raises :class:`BadInput`, also where no hub may be asked."""
    del workspace, waits
    repo = hubs.repo_of(recipe.dataset_id)
    return recipe.model_copy(update={"dataset_id": repo, "subset": recipe.subset.strip()})


def run(recipe: HubLookRecipe, context: JobContext) -> dict[str, Any]:
    """Fetch names and first rows. Returns ``repo, subset, subsets, splits, files, rows``.

    Raises :class:`BadInput` for a subset it does not have, :class:`HubFailed` otherwise.
    """
    repo = recipe.dataset_id
    context.progress(0, None, "", f"fetching {repo} from the Hub")
    hub = hubs.load_library()
    names = hubs.subsets(hub, repo)
    subset = recipe.subset or _first(names)
    into = context.folder / _FOLDER / hubs.plain_name(repo.rsplit("/", 1)[-1])
    files: dict[str, list[str]] = {}
    splits: list[str] = []
    rows = 0

    def told(count: int) -> None:
        nonlocal rows
        rows += count
        context.check_cancelled()

    for part in hubs.parts(hub, repo, subset, ""):
        if not part.texts and part.split not in splits:
            splits.append(part.split)
        if len(files) <= _SPLITS:
            message = ", ".join(one for one in (repo, part.subset, part.split) if one)
            context.progress(rows, None, "rows", f"fetching {message}")
            written = hubs.write(repo, part, into, told, ROWS)
            files.setdefault("" if part.texts else part.split, []).extend(written)
    return {
        "repo": repo,
        "subset": subset,
        "subsets": names,
        "splits": splits,
        "files": files,
        "rows": rows,
    }


def _first(names: list[str]) -> str:
    """The subset to show where none was named; '' where the data set is taken as one."""
    if hubs.is_retrieval(names) or "default" in names or len(names) < 2:
        return ""
    return names[0]


def look_at(workspace: Workspace, path: str, subset: str) -> Look | None:
    """The newest look at this subset of 'hf:OWNER/NAME' that found something."""
    repo = path.removeprefix(hubs.PREFIX).strip()
    for job in workspace.jobs.list(JobStatus.SUCCEEDED, HubLookRecipe.task):
        look = _read(workspace, job)
        if look and look.repo == repo and subset in (look.subset, job.recipe["subset"]):
            return look
    return None


def _read(workspace: Workspace, job: Job) -> Look | None:
    said = job.result or {}
    folder = workspace.path(f"jobs/{job.id}/{_FOLDER}")
    if not folder.is_dir():
        return None
    about = {key: said[key] for key in ("repo", "subset", "subsets", "splits", "files")}
    return Look(job=job.id, folder=folder, **about)


def described(look: Look) -> str:
    """Its subsets and splits, in a sentence."""
    splits = _listed(look.splits)
    if len(look.subsets) < 2 or hubs.is_retrieval(look.subsets):
        return f"{look.repo} has the splits {splits}."
    return f"{look.repo} has the subsets {_listed(look.subsets)}; '{look.subset}' has {splits}."


def _listed(names: list[str]) -> str:
    return ", ".join(names[:30]) + (" and others" if len(names) > 30 else "")


def sample(look: Look, split: str, log: ProblemLog) -> Iterator[Source]:
    """The first rows as files; ``split``: names with commas between them, or '' for all."""
    wanted = {name.strip() for name in split.split(",") if name.strip()}
    root = look.folder / hubs.plain_name(look.repo.rsplit("/", 1)[-1])
    for name, files in look.files.items():
        if not name or not wanted or name in wanted:
            for file in files:
                yield from named(root / file, f"{root.name}/{file}", log)
