"""One part of the kept encodings on disk: which texts it has, and their vectors. Torch-free.

A part is a safetensors file: ``texts`` (n, 2) uint64 digests, ``vectors`` (n, d) float32. It is
written beside and renamed, so that a part is either whole or not there, and never changed after.
What was damaged later is told by a digest of each table.
"""

import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

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
