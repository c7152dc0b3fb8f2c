"""Which files of a folder are weights, whether they are all there, and whether they are pickled."""

import json
from pathlib import Path

from workbench.errors import ModelUnusable

#: Pickled weights by the names that libraries give them, before a shard's number.
PICKLED_NAMES = ("pytorch_model", "model", "adapter_model", "consolidated")
PICKLED_SUFFIXES = (".bin", ".pt", ".pth")
#: An exported model's graph and weights, where sentence-transformers looks for them too.
ONNX_FILE = "onnx/model.onnx"
_POINTER = b"version https://git-lfs"


def check_weights(folder: Path, stem: str) -> None:
    """Raise :class:`ModelUnusable` unless ``folder`` has complete weights.

    ``stem`` is 'model' or 'adapter_model'.
    """
    missing = _missing_shards(folder)
    if missing:
        raise ModelUnusable(
            f"{folder} lacks {len(missing)} of its weight files, '{missing[0]}' among them.",
            "Copy or download the folder again.",
        )
    found = safetensors_of(folder, stem) or pickled_of(folder)
    if not found:
        raise ModelUnusable(
            f"{folder} has no weights: there is no {stem}.safetensors and no .bin file.",
            "Copy the whole folder, weights included.",
        )
    for path in found:
        _refuse_pointer(path)


def check_graph(folder: Path) -> None:
    """Raise :class:`ModelUnusable` unless ``folder`` has a model exported to ONNX."""
    path = folder / ONNX_FILE
    if not path.is_file():
        raise ModelUnusable(
            f"{folder} lacks its weights: there is no {ONNX_FILE}.",
            "Quantize the original model again, or copy the whole folder.",
        )
    _refuse_pointer(path)


def safetensors_of(folder: Path, stem: str = "") -> list[Path]:
    """The safetensors files directly in a folder whose name starts with ``stem``."""
    return sorted(path for path in folder.glob("*.safetensors") if path.name.startswith(stem))


def pickled_of(folder: Path) -> list[Path]:
    """Pickled weights directly in a folder; optimizer states and the like are not among them."""
    return sorted(path for path in folder.iterdir() if is_pickled_weights(path) and path.is_file())


def is_pickled_weights(path: Path) -> bool:
    """Whether a file is named as a model's pickled weights are."""
    stem = path.name.split("-")[0].removesuffix(path.suffix)
    return path.suffix in PICKLED_SUFFIXES and stem in PICKLED_NAMES


def pickled_folders(folder: Path) -> list[Path]:
    """The folders (a model's own and its modules') whose only weights are pickled."""
    places = [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]
    return [place for place in places if pickled_of(place) and not safetensors_of(place)]


def needs_conversion(folder: Path) -> bool:
    """Whether some weights exist only as pickles."""
    return bool(pickled_folders(folder))


def _missing_shards(folder: Path) -> list[str]:
    for index in sorted(folder.glob("*.index.json")):
        if index.name.startswith("pytorch_model") and safetensors_of(folder):
            continue
        try:
            names = sorted(
                set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
            )
        except (OSError, ValueError, KeyError, AttributeError) as error:
            raise ModelUnusable(f"{index} cannot be read: {error}.", "Get it again.") from error
        missing = [name for name in names if not (folder / name).is_file()]
        if missing:
            return missing
    return []


def _refuse_pointer(path: Path) -> None:
    with path.open("rb") as file:
        if file.read(len(_POINTER)) == _POINTER:
            raise ModelUnusable(
                f"{path} is a Git LFS pointer, not the weights themselves.",
                "Fetch them with: git lfs pull",
            )
