"""Encodings kept on disk, so that a text is encoded once per model and way of using it. Torch-free.
Scores of pairs lie here too, as vectors of one number: see ``evaluation/cached.py``.

    cache/encodings/<key>/<part>.safetensors, <key>/about.json

The key is a digest of everything that decides a vector (``contract_key``); within it, a text is
known by the digest of exactly what the model reads. Several processes may use it at once: parts
are only ever added (beside, then renamed) or removed whole, and one that has vanished or is broken
is encoded again.
"""

import json
import logging
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from workbench.data.digests import DigestRows
from workbench.errors import BadInput

# One part of the kept encodings on disk: which texts it has, and their vectors.
#
# A part is a safetensors file: ``texts`` (n, 2) uint64 digests, ``vectors`` (n, d) float32. It is
# written beside and renamed, so that a part is either whole or not there, and never changed after.
# What was damaged later is told by a digest of each table.

Digests = NDArray[np.uint64]
Vectors = NDArray[np.float32]

SUFFIX = ".safetensors"
#: What a writer that was killed leaves behind ends in this.
PARTIAL = ".partial"


class BrokenPart(Exception):
    """The file is not what was written; what it held is encoded again."""


@dataclass
class Part:
    """A part's file. Its vectors are read anew at each use: the system keeps them in its cache as
    long as there is memory to spare, and this process need not."""

    path: Path
    _sound: bool = field(default=False, init=False)

    def texts(self) -> Digests:
        """Digests of the texts (n, 2). Raises :class:`BrokenPart`, or FileNotFoundError where
        another process has cleared it away."""
        return self._read("texts")

    def vectors(self) -> Vectors:
        """(n, d), checked against their digest at the first use; raises as :meth:`texts`."""
        found = self._read("vectors", check=not self._sound)
        self._sound = True
        return found

    def touch(self) -> None:
        """Mark as used now: the parts unused for longest go first when room is needed."""
        try:
            os.utime(self.path)
        except FileNotFoundError:
            return  # Cleared by another process; the next reader finds it gone.

    def _read(self, name: str, check: bool = True) -> Any:
        if not self.path.exists():
            raise FileNotFoundError(self.path)
        try:
            with safe_open(self.path, framework="numpy") as file:
                about, table = file.metadata() or {}, file.get_tensor(name)
        except (SafetensorError, OSError, ValueError, KeyError) as error:
            raise BrokenPart(f"{self.path.name}: {error}") from error
        if check and about.get(name) != _digest(table):
            raise BrokenPart(f"{self.path.name}: its {name} are not what was written")
        return table


def write(folder: Path, texts: Digests, vectors: Vectors) -> Part:
    """A new part in ``folder``, whole or not at all; raises OSError where it cannot be written."""
    folder.mkdir(parents=True, exist_ok=True)
    name = secrets.token_hex(8)
    partial, path = folder / f"{name}{PARTIAL}", folder / f"{name}{SUFFIX}"
    tables: dict[str, NDArray[Any]] = {
        "texts": np.ascontiguousarray(texts),
        "vectors": np.ascontiguousarray(vectors),
    }
    about = {key: _digest(table) for key, table in tables.items()}
    try:
        save_file(tables, partial, about)
        partial.rename(path)
    except SafetensorError as error:
        # Its way of saying that the disk is full.
        raise OSError(str(error)) from error
    finally:
        partial.unlink(missing_ok=True)
    return Part(path)


def _digest(table: NDArray[Any]) -> str:
    return xxhash.xxh3_128_hexdigest(np.ascontiguousarray(table).view(np.uint8).reshape(-1).data)


LIMIT_VARIABLE = "WORKBENCH_CACHE_GB"
#: Enough for a million documents in 1,024 dimensions, four times over.
LIMIT_GB = 20.0
#: The cache leaves at least this much of the disk to others.
SPARE = 2_000_000_000
#: A writer that died left its file this long ago.
STALE_SECONDS = 3600.0
FOLDER = "cache/encodings"
ABOUT = "about.json"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """What the cache has of one model, used in one way."""

    key: str
    #: The model, the role ('query' or 'document') and so on; empty where the file is gone.
    about: dict[str, Any]
    texts: int
    bytes: int
    used_at: float


class EncodingCache:
    """The kept encodings of one home. A limit of 0 keeps none."""

    def __init__(self, home: Path, *, limit: int | None = None) -> None:
        self.folder = home / FOLDER
        self.limit = limit_bytes() if limit is None else limit
        #: What this process has used: it does not make room for itself by removing its own.
        self._mine: set[Path] = set()
        self._full = False

    def shelf(self, key: str, about: dict[str, Any]) -> "Shelf":
        """The encodings under a key; ``about`` says to a person what they are."""
        return Shelf(self, self.folder / key, about)

    def bytes(self) -> int:
        return sum(size for _, size, _ in self._files())

    def models(self) -> set[str]:
        """Names of the models of which something is kept; no part is opened for that."""
        return {
            str(_about(folder).get("model", folder.name))
            for folder in _listed(self.folder)
            if next(iter(_listed(folder, SUFFIX)), None)
        }

    def show(self) -> list[CacheEntry]:
        """What is kept, the last used first."""
        found = []
        for folder in _listed(self.folder):
            files = list(self._files(folder))
            if files:
                texts = sum(_count(path) for path, _, _ in files)
                size, used = sum(one[1] for one in files), max(one[2] for one in files)
                found.append(CacheEntry(folder.name, _about(folder), texts, size, used))
        return sorted(found, key=lambda one: -one.used_at)

    def clear(self, model: str | None = None) -> int:
        """Remove everything, or what is kept of one model (by the name it was used under);
        the bytes that became free."""
        freed = 0
        for folder in _listed(self.folder):
            if model is None or _about(folder).get("model") == model:
                freed += sum(size for _, size, _ in self._files(folder))
                shutil.rmtree(folder, ignore_errors=True)
        return freed

    def used(self, part: Part) -> None:
        if part.path not in self._mine:
            self._mine.add(part.path)
            part.touch()

    def room(self, size: int) -> bool:
        """Make room for ``size`` bytes by removing the parts unused for longest; False where there
        is none without removing what this process needs itself."""
        if self._full or size > self.limit:
            return False
        self._sweep()
        self.folder.mkdir(parents=True, exist_ok=True)
        files = sorted(self._files(), key=lambda one: one[2])
        free = shutil.disk_usage(self.folder).free - SPARE
        missing = max(sum(one[1] for one in files) + size - self.limit, size - free)
        for path, bytes_, _ in files:
            if missing <= 0:
                break
            if path not in self._mine:
                path.unlink(missing_ok=True)
                missing -= bytes_
        if missing > 0:
            self._full = True
            log.warning(
                "The kept encodings are full (%.1f GB; %s sets the limit): what is encoded from "
                "here on is not kept.",
                self.limit / 1e9,
                LIMIT_VARIABLE,
            )
        return not self._full

    def _files(self, folder: Path | None = None) -> Iterator[tuple[Path, int, float]]:
        """Parts with their bytes and when they were last used."""
        for place in [folder] if folder else _listed(self.folder):
            for path in _listed(place, SUFFIX):
                try:
                    stat = path.stat()
                except FileNotFoundError:
                    continue  # Another process made room.
                yield path, stat.st_size, stat.st_mtime

    def _sweep(self) -> None:
        """Remove what killed writers left behind."""
        for folder in _listed(self.folder):
            for path in _listed(folder, PARTIAL):
                try:
                    if time.time() - path.stat().st_mtime > STALE_SECONDS:
                        path.unlink()
                except FileNotFoundError:
                    continue  # Its writer has just finished.


@dataclass
class Shelf:
    """The encodings under one key. What other processes add after opening is not seen."""

    cache: EncodingCache
    folder: Path
    about: dict[str, Any]
    _parts: list[Part] = field(default_factory=list, init=False)
    #: The number of the first text of each part, and one beyond the last.
    _starts: list[int] = field(default_factory=lambda: [0], init=False)
    _known: DigestRows = field(default_factory=DigestRows, init=False)

    def __post_init__(self) -> None:
        for path in _listed(self.folder, SUFFIX):
            part = Part(path)
            try:
                self._add(part, part.texts())
            except (BrokenPart, FileNotFoundError) as error:
                self._lost(part, error)

    def read(self, texts: Digests) -> tuple[Vectors, Any]:
        """Vectors of the texts (n, d), and which of them (n,) are there; (n, 0) if none is."""
        numbers = self._known.find(texts)
        homes = np.searchsorted(self._starts, numbers, side="right") - 1
        found = np.zeros((len(texts), 0), np.float32)
        have = np.zeros(len(texts), bool)
        for home in np.unique(homes[numbers >= 0]).tolist():
            mine = np.flatnonzero(homes == home)
            part = self._parts[home]
            try:
                vectors = part.vectors()
            except (BrokenPart, FileNotFoundError) as error:
                self._lost(part, error)
                continue
            self.cache.used(part)
            if not found.shape[1]:
                found = np.zeros((len(texts), vectors.shape[1]), np.float32)
            found[mine] = vectors[numbers[mine] - self._starts[home]]
            have[mine] = True
        return found, have

    def write(self, texts: Digests, vectors: Vectors) -> None:
        """Keep vectors (n, d) of texts (n, 2), if there is room; never in the way of the work."""
        if not len(texts) or not self.cache.room(texts.nbytes + vectors.nbytes + 1000):
            return
        try:
            part = write(self.folder, texts, vectors)
            self._describe()
        except OSError as error:
            log.warning("Encodings could not be kept: %s", error)
            return
        self.cache.used(part)
        self._add(part, texts)

    def _add(self, part: Part, texts: Digests) -> None:
        start = self._starts[-1]
        self._known.assign(texts, start + np.arange(len(texts)))
        self._parts.append(part)
        self._starts.append(start + len(texts))

    def _lost(self, part: Part, error: Exception) -> None:
        if isinstance(error, BrokenPart):
            log.warning("A file of the kept encodings is broken and is left out: %s", error)
            part.path.unlink(missing_ok=True)

    def _describe(self) -> None:
        path = self.folder / ABOUT
        if not path.exists():
            partial = self.folder / f"{ABOUT}.{os.getpid()}{PARTIAL}"
            partial.write_text(json.dumps(self.about, indent=2) + "\n", encoding="utf-8")
            partial.rename(path)


def limit_bytes() -> int:
    """How much may be kept: ``WORKBENCH_CACHE_GB``, or the default. Raises :class:`BadInput`."""
    words = os.environ.get(LIMIT_VARIABLE, "").strip()
    try:
        size = float(words) if words else LIMIT_GB
    except ValueError:
        size = -1.0
    if not 0 <= size < 1e6:
        raise BadInput(
            f"{LIMIT_VARIABLE} is '{words}', which is no size.",
            "Give a number of gigabytes, such as 20; 0 keeps nothing.",
        )
    return int(size * 1e9)


def _listed(folder: Path, suffix: str = "") -> list[Path]:
    """What is in a folder just now; ``Path.glob`` raises where another process removes it."""
    try:
        return sorted(path for path in folder.iterdir() if path.name.endswith(suffix))
    except FileNotFoundError:
        return []


def _about(folder: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / ABOUT).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}  # It is for people to read; nothing depends on it.


def _count(path: Path) -> int:
    try:
        return len(Part(path).texts())
    except (BrokenPart, FileNotFoundError):
        return 0
