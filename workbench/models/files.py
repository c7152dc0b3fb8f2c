"""Copies a model's files and leaves behind what is no part of it. Torch-free."""

import os
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path

from workbench.errors import BadInput, ModelUnusable
from workbench.models.contract import Contract
from workbench.models.quantized import is_graph

#: Files and folders that come with models but are not needed to use them.
JUNK = (
    "optimizer*", "scheduler.pt", "scaler.pt", "rng_state*", "trainer_state.json",
    "training_args.bin", "global_step*", "checkpoint-*", "runs", "runs/*", "events.out.tfevents*",
    "*.onnx", "*.onnx_data", "onnx", "onnx/*", "openvino", "openvino/*", "tf_model.h5",
    "*.msgpack", "rust_model.ot", "*.gguf", "*.ckpt", "*.mlmodel", "*.mlpackage", "coreml/*",
    "__pycache__", "*.pyc", ".git", ".gitattributes", ".gitignore", ".cache", "*.lock",
)  # fmt: skip
#: Of these, what a model that is computed by ONNX Runtime consists of.
_GRAPHS = ("*.onnx", "*.onnx_data", "onnx", "onnx/*")
_BLOCK = 4 << 20


def model_files(folder: Path) -> list[Path]:
    """The files worth copying. Raises :class:`ModelUnusable` for a link that leads outside."""
    contract = Contract.read(folder)
    kept = _GRAPHS if is_graph(contract) else ()
    junk = tuple(pattern for pattern in JUNK if pattern not in kept)
    return sorted(_walk(folder, allowed_roots(folder), junk))


def copy_model(
    source: Path,
    target: Path,
    *,
    progress: Callable[[int, int], None] | None = None,
    stop: Callable[[], None] | None = None,
    skip: Callable[[Path], bool] = lambda _path: False,
) -> int:
    """Copy a model folder's files and return their bytes.

    ``progress`` gets bytes done and in all; ``stop`` may raise to end it between blocks.
    """
    files = [path for path in model_files(source) if not skip(path)]
    total = sum(path.stat().st_size for path in files)
    done = 0
    for path in files:
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        for block in _copy(path, copy):
            done += block
            if stop:
                stop()
            if progress:
                progress(done, total)
    return total


def allowed_roots(folder: Path) -> list[Path]:
    """Where links may lead: the folder, and for a copy in the hub's cache that cache's blobs."""
    roots = [folder.resolve()]
    if folder.parent.name == "snapshots":
        roots.append((folder.parent.parent / "blobs").resolve())
    return roots


def _walk(folder: Path, roots: list[Path], junk: tuple[str, ...]) -> Iterator[Path]:
    for path in folder.iterdir():
        if any(fnmatch(path.name, pattern) for pattern in junk):
            continue
        if path.is_symlink() and not any(path.resolve().is_relative_to(root) for root in roots):
            raise ModelUnusable(
                f"{path} is a link that leads out of the model's folder.",
                "Copy the file itself into the folder.",
            )
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path, roots, junk)
        elif path.is_file():
            yield path


def _copy(source: Path, target: Path) -> Iterator[int]:
    with source.open("rb") as reading, target.open("wb") as writing:
        while block := reading.read(_BLOCK):
            writing.write(block)
            yield len(block)
    shutil.copymode(source, target)


# A model folder as one zip file.

#: Weights do not get smaller by compressing, only slower.
_STORED = (".safetensors", ".bin", ".pt", ".npy")


def export_zip(folder: Path, to: Path, instead: Mapping[str, bytes] | None = None) -> Path:
    """Write the folder's files into the zip file ``to`` (replaced if it exists); returns its path.

    The files lie in one folder named like the zip. The file appears when it is complete.
    ``instead``: what stands in the zip in place of a file, by its path inside the folder.
    """
    to = to.expanduser().absolute()
    if not folder.is_dir():
        raise ModelUnusable(f"The model's folder {folder} is missing.")
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
