"""Data sets of a hub: streamed by the ``datasets`` library into Parquet files, then read as any.

A path 'hf:OWNER/NAME' stands for one. Where it has its corpus and its queries apart, as MTEB's
retrieval sets do, all parts are fetched. Rows are streamed: of what was not asked for nothing is
downloaded, and nothing lies on the disk twice.
"""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.data.problems import ProblemLog, shorten
from workbench.data.sources import Source, named
from workbench.data.splits import split_of
from workbench.errors import BadInput, WorkbenchError
from workbench.jobs.reporting import JobContext
from workbench.models.resolve import hub_is_offline
from workbench.recipes.data import HubLookRecipe
from workbench.records import Job, JobStatus
from workbench.workspace import Workspace

PREFIX = "hf:"
_ID = re.compile(r"(?:[A-Za-z0-9][\w.-]{0,95}/)?[A-Za-z0-9_][\w.-]{0,95}")
#: The configurations that make up a retrieval set; every other one of it holds judgments.
_TEXTS = {"corpus", "queries"}
_ROWS_AT_ONCE = 1_000


class HubFailed(WorkbenchError):
    """The hub did not give the data set."""

    code = "hub-failed"


def is_hub(path: str) -> bool:
    return path.startswith(PREFIX)


def repo_of(path: str) -> str:
    """The id in 'hf:OWNER/NAME'; raises :class:`BadInput`, also where no hub may be asked."""
    repo = path.removeprefix(PREFIX).strip()
    if not _ID.fullmatch(repo):
        raise BadInput(f"'{path}' is not a data set of the Hub.", "Write it as hf:OWNER/NAME.")
    if hub_is_offline():
        raise BadInput(
            f"'{repo}' cannot be fetched: HF_HUB_OFFLINE is set, which forbids access to the Hub.",
            "Unset it where there is a network, or download the files and import those.",
        )
    return repo


@dataclass(frozen=True, slots=True)
class Part:
    """One split of one subset on the hub; ``rows`` are streamed. ``texts``: a corpus or queries,
    which are taken whichever splits are wanted."""

    subset: str
    split: str
    texts: bool
    rows: Any


def fetch(
    repo: str,
    subset: str,
    split: str,
    folder: Path,
    say: Callable[[str], None],
    library: Any = None,
) -> Path:
    """Write the data set's rows as Parquet files below ``folder``; returns their folder.

    ``split``: names with commas between them, or '' for all; ``library`` is ``datasets``; ``say``
    is called often, and may raise. Raises :class:`BadInput` for what the data set does not have,
    :class:`HubFailed` otherwise.
    """
    hub = library or load_library()
    into = folder / plain_name(repo.rsplit("/", 1)[-1])
    for part in parts(hub, repo, subset, split):
        where = ", ".join(one for one in (part.subset, part.split) if one)

        def told(count: int, where: str = where) -> None:
            say(f"fetching {repo}, {where}: {count:,} rows")

        write(repo, part, into, told)
    return into


def parts(hub: Any, repo: str, subset: str, split: str) -> Iterator[Part]:
    """What there is to fetch; nothing is downloaded yet but the lists of names."""
    wanted = [name.strip() for name in split.split(",") if name.strip()]
    for config in _configs(repo, subsets(hub, repo), subset):
        texts = config in _TEXTS
        found = _stream(hub, repo, config)
        if not texts:
            _check_splits(repo, wanted, list(found))
        for name, rows in found.items():
            if texts or not wanted or name in wanted:
                yield Part(config, name, texts, rows)


def write(
    repo: str, part: Part, into: Path, told: Callable[[int], None], most: int | None = None
) -> list[str]:
    """Write a part's rows, or the first ``most`` of them; the files' paths below ``into``.

    ``told`` gets the number of rows after each batch. Streamed JSON may change its columns on the
    way: what follows then goes to a file of its own.
    """
    import pyarrow.parquet as pq

    files: list[str] = []
    writer: Any = None
    count = 0
    with _telling(repo):
        try:
            size = _ROWS_AT_ONCE if most is None else most
            for table in part.rows.with_format("arrow").iter(batch_size=size):
                if writer is None or table.schema != writer.schema:
                    if writer is not None:
                        writer.close()
                    files.append(_file(part, len(files)))
                    target = into / files[-1]
                    target.parent.mkdir(parents=True, exist_ok=True)
                    writer = pq.ParquetWriter(target, table.schema)
                writer.write_table(table)
                count += table.num_rows
                told(count)
                if most is not None:
                    break
        finally:
            if writer is not None:
                writer.close()
    return files


def load_library() -> Any:
    """``datasets``."""
    # Imported here: it takes seconds, and most imports ask no hub.
    import datasets

    return datasets


def subsets(hub: Any, repo: str) -> list[str]:
    """The names of its subsets (configurations)."""
    with _telling(repo):
        return list(hub.get_dataset_config_names(repo))


def is_retrieval(names: list[str]) -> bool:
    """Whether these subsets are the parts of one retrieval set."""
    return set(names) >= _TEXTS


def _configs(repo: str, names: list[str], subset: str) -> list[str]:
    """The configurations to fetch: the one asked for, all of a retrieval set, or the only one."""
    if subset and subset not in names:
        raise BadInput(f"'{repo}' has no subset '{subset}'.", f"It has: {_listed(names)}.")
    if subset:
        return [subset]
    if is_retrieval(names):
        return sorted(names, key=lambda name: (name not in _TEXTS, name))
    if len(names) > 1 and "default" not in names:
        raise BadInput(f"'{repo}' has several subsets.", f"Choose one of: {_listed(names)}.")
    return ["default" if "default" in names else names[0] if names else ""]


def _stream(hub: Any, repo: str, config: str) -> dict[str, Any]:
    with _telling(repo):
        named = (repo, config) if config else (repo,)
        return dict(hub.load_dataset(*named, streaming=True))


@contextmanager
def _telling(repo: str) -> Iterator[None]:
    """Turns what the library raises, which is anything, into our errors."""
    try:
        yield
    except WorkbenchError:
        raise
    except Exception as error:  # noqa: BLE001 - it raises errors of a dozen libraries
        secret = os.environ.get("HF_TOKEN") or "\0"
        said = shorten(str(error).replace(secret, "***") or type(error).__name__, 200).rstrip(".")
        # 'from None': an error of the library may hold the request, and the request the token.
        raise HubFailed(
            f"The Hub did not deliver '{repo}': {said}.",
            "Check the id and the network; a private one needs HF_TOKEN in the environment.",
        ) from None


def _check_splits(repo: str, wanted: list[str], have: list[str]) -> None:
    missing = [name for name in wanted if name not in have]
    if missing:
        raise BadInput(f"'{repo}' has no split '{missing[0]}'.", f"It has: {_listed(have)}.")


def _listed(names: list[str]) -> str:
    return ", ".join(names[:30]) or "none"


def plain_name(name: str) -> str:
    """A name that a file may have."""
    return re.sub(r"[^\w.-]+", "-", name)


def _file(part: Part, number: int) -> str:
    """A name that says what the rows are for: the importer goes by it."""
    config, split, more = part.subset, part.split, f"-{number}" if number else ""
    if part.texts:
        return f"{config}{more}.parquet" if split == config else f"{config}-{split}{more}.parquet"
    plain = plain_name(split)
    named = (plain if split_of(plain) else f"rows-{plain}") + more
    alone = config in ("", "default")
    return f"{named}.parquet" if alone else f"{plain_name(config)}/{named}.parquet"


def local_paths(
    paths: list[str], subset: str, split: str, folder: Path, say: Callable[[str], None]
) -> Iterator[Path]:
    """Where to read each path from; what stands on a hub is fetched into ``folder`` first."""
    for number, path in enumerate(paths):
        if is_hub(path):
            yield fetch(repo_of(path), subset, split, folder / str(number), say)
        else:
            yield Path(path)


# The task 'hub-look': what a hub's data set has, and its first rows, kept in the job's folder.
#
# The page asks the network for nothing itself: a preview of 'hf:OWNER/NAME' reads the rows that
# the newest look at it has left (:func:`sample`), as it would read files.

#: Rows of each split that are fetched: as many as a preview looks at.
ROWS = 200
#: Splits that rows are fetched of. Some sets have one for each of a hundred languages.
_SPLITS = 12
_SAMPLE = "sample"


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


def prepare_look(recipe: HubLookRecipe, workspace: Workspace, waits: bool = False) -> HubLookRecipe:
    """The recipe with a plain id; raises :class:`BadInput`, also where no hub may be asked."""
    del workspace, waits
    repo = repo_of(recipe.dataset_id)
    return recipe.model_copy(update={"dataset_id": repo, "subset": recipe.subset.strip()})


def run_look(recipe: HubLookRecipe, context: JobContext) -> dict[str, Any]:
    """Fetch names and first rows. Returns ``repo, subset, subsets, splits, files, rows``.

    Raises :class:`BadInput` for a subset it does not have, :class:`HubFailed` otherwise.
    """
    repo = recipe.dataset_id
    context.progress(0, None, "", f"fetching {repo} from the Hub")
    hub = load_library()
    names = subsets(hub, repo)
    subset = recipe.subset or _first(names)
    into = context.folder / _SAMPLE / plain_name(repo.rsplit("/", 1)[-1])
    files: dict[str, list[str]] = {}
    splits: list[str] = []
    rows = 0

    def told(count: int) -> None:
        nonlocal rows
        rows += count
        context.check_cancelled()

    for part in parts(hub, repo, subset, ""):
        if not part.texts and part.split not in splits:
            splits.append(part.split)
        if len(files) <= _SPLITS:
            message = ", ".join(one for one in (repo, part.subset, part.split) if one)
            context.progress(rows, None, "rows", f"fetching {message}")
            written = write(repo, part, into, told, ROWS)
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
    if is_retrieval(names) or "default" in names or len(names) < 2:
        return ""
    return names[0]


def look_at(workspace: Workspace, path: str, subset: str) -> Look | None:
    """The newest look at this subset of 'hf:OWNER/NAME' that found something."""
    repo = path.removeprefix(PREFIX).strip()
    for job in workspace.jobs.list(JobStatus.SUCCEEDED, HubLookRecipe.task):
        look = _read(workspace, job)
        if look and look.repo == repo and subset in (look.subset, job.recipe["subset"]):
            return look
    return None


def _read(workspace: Workspace, job: Job) -> Look | None:
    said = job.result or {}
    folder = workspace.path(f"jobs/{job.id}/{_SAMPLE}")
    if not folder.is_dir():
        return None
    about = {key: said[key] for key in ("repo", "subset", "subsets", "splits", "files")}
    return Look(job=job.id, folder=folder, **about)


def described(look: Look) -> str:
    """Its subsets and splits, in a sentence."""
    splits = _names(look.splits)
    if len(look.subsets) < 2 or is_retrieval(look.subsets):
        return f"{look.repo} has the splits {splits}."
    return f"{look.repo} has the subsets {_names(look.subsets)}; '{look.subset}' has {splits}."


def _names(names: list[str]) -> str:
    return ", ".join(names[:30]) + (" and others" if len(names) > 30 else "")


def sample(look: Look, split: str, log: ProblemLog) -> Iterator[Source]:
    """The first rows as files; ``split``: names with commas between them, or '' for all."""
    wanted = {name.strip() for name in split.split(",") if name.strip()}
    root = look.folder / plain_name(look.repo.rsplit("/", 1)[-1])
    for name, files in look.files.items():
        if not name or not wanted or name in wanted:
            for file in files:
                yield from named(root / file, f"{root.name}/{file}", log)
