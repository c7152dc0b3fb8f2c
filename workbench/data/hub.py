"""Data sets of a hub: fetched by the ``datasets`` library as Parquet files, then read as any files.

A path 'hf:OWNER/NAME' stands for one. Where it has its corpus and its queries apart, as MTEB's
retrieval sets do, all parts are fetched.
"""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from workbench.data.parts import split_of
from workbench.data.problems import shorten
from workbench.errors import BadInput, WorkbenchError
from workbench.models.resolve import hub_is_offline

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
        raise BadInput(f"'{path}' is no data set of a hub.", "Write it as hf:OWNER/NAME.")
    if hub_is_offline():
        raise BadInput(
            f"'{repo}' cannot be fetched: HF_HUB_OFFLINE is set, so the hub may not be asked.",
            "Unset it where there is a network, or download the files and import those.",
        )
    return repo


def fetch(
    repo: str,
    subset: str,
    split: str,
    folder: Path,
    say: Callable[[str], None],
    library: Any = None,
) -> Path:
    """Write the data set's rows as Parquet files below ``folder``; returns their folder.

    ``split``: names with commas between them, or '' for all; ``library`` is ``datasets``.
    Raises :class:`BadInput` for what the data set does not have, :class:`HubFailed` otherwise.
    """
    hub = library or _library()
    into = folder / _plain(repo.rsplit("/", 1)[-1])
    into.mkdir(parents=True, exist_ok=True)
    wanted = [name.strip() for name in split.split(",") if name.strip()]
    for config in _configs(hub, repo, subset):
        say(f"fetching {repo}" + (f", {config}" if config else ""))
        texts = config in _TEXTS
        found = _load(hub, repo, config)
        if not texts:
            _check_splits(repo, wanted, list(found))
        for name, table in found.items():
            if texts or not wanted or name in wanted:
                target = into / _file(config, name)
                target.parent.mkdir(exist_ok=True)
                table.to_parquet(str(target), batch_size=_ROWS_AT_ONCE)
    return into


def _library() -> Any:
    # Imported here: it takes seconds, and most imports ask no hub.
    import datasets

    return datasets


def _configs(hub: Any, repo: str, subset: str) -> list[str]:
    """The configurations to fetch: the one asked for, all of a retrieval set, or the only one."""
    with _telling(repo):
        names = list(hub.get_dataset_config_names(repo))
    if subset and subset not in names:
        raise BadInput(f"'{repo}' has no subset '{subset}'.", f"It has: {_listed(names)}.")
    if subset:
        return [subset]
    if set(names) >= _TEXTS:
        return sorted(names, key=lambda name: (name not in _TEXTS, name))
    if len(names) > 1 and "default" not in names:
        raise BadInput(f"'{repo}' has several subsets.", f"Choose one of: {_listed(names)}.")
    return ["default" if "default" in names else names[0] if names else ""]


def _load(hub: Any, repo: str, config: str) -> dict[str, Any]:
    with _telling(repo):
        found = hub.load_dataset(repo, config) if config else hub.load_dataset(repo)
    return dict(found)


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
            f"The hub did not give '{repo}': {said}.",
            "Check the id and the network; a private one needs HF_TOKEN in the environment.",
        ) from None


def _check_splits(repo: str, wanted: list[str], have: list[str]) -> None:
    missing = [name for name in wanted if name not in have]
    if missing:
        raise BadInput(f"'{repo}' has no split '{missing[0]}'.", f"It has: {_listed(have)}.")


def _listed(names: list[str]) -> str:
    return ", ".join(names[:30]) or "none"


def _plain(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name)


def _file(config: str, split: str) -> str:
    """A name that says what the rows are for: the importer goes by it."""
    if config in _TEXTS:
        return f"{config}.parquet" if split == config else f"{config}-{split}.parquet"
    plain = _plain(split)
    named = plain if split_of(plain) else f"rows-{plain}"
    return f"{named}.parquet" if config in ("", "default") else f"{_plain(config)}/{named}.parquet"


def local_paths(
    paths: list[str], subset: str, split: str, folder: Path, say: Callable[[str], None]
) -> Iterator[Path]:
    """Where to read each path from; what stands on a hub is fetched into ``folder`` first."""
    for number, path in enumerate(paths):
        if is_hub(path):
            yield fetch(repo_of(path), subset, split, folder / str(number), say)
        else:
            yield Path(path)
