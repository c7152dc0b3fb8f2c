"""A model folder as one zip file. Torch-free."""

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

from workbench.errors import BadInput, ModelUnusable
from workbench.models.files import model_files

#: Weights do not get smaller by compressing, only slower.
_STORED = (".safetensors", ".bin", ".pt", ".npy")
_BLOCK = 4 << 20


def export_zip(folder: Path, to: Path, instead: Mapping[str, bytes] | None = None) -> Path:
    """Write the folder's files into the zip file ``to`` (replaced if it exists); returns its path.

    The files lie in one folder named like the zip. The file appears when it is complete.
    ``instead``: what stands in the zip in place of a file, by its path inside the folder.
    """
    to = to.expanduser().absolute()
    if not folder.is_dir():
        raise ModelUnusable(f"The model's folder {folder} is gone.")
    if to.is_dir() or not to.parent.is_dir():
        raise BadInput(f"{to} cannot be written.", "Name a zip file in a folder that exists.")
    partial = to.with_name(f".{to.name}.{os.getpid()}.partial")
    try:
        _write(folder, partial, to.stem, instead or {})
        partial.replace(to)
    except OSError as error:
        raise BadInput(f"{to} cannot be written: {error.strerror or error}.") from error
    finally:
        partial.unlink(missing_ok=True)
    return to


def _write(folder: Path, target: Path, root: str, instead: Mapping[str, bytes]) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in model_files(folder):
            inside = path.relative_to(folder).as_posix()
            if inside in instead:
                archive.writestr(f"{root}/{inside}", instead[inside])
                continue
            info = zipfile.ZipInfo.from_file(path, f"{root}/{inside}")
            stored = path.suffix in _STORED
            info.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
            with path.open("rb") as reading, archive.open(info, "w") as writing:
                while block := reading.read(_BLOCK):
                    writing.write(block)
