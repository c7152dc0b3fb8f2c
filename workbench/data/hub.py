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

from workbench.data.problems import shorten
from workbench.data.splits import split_of
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
