"""Checkpoints on disk: which one to go on from, and what of one is the model."""

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

STATE = "trainer_state.json"
#: The trainer's own files in a checkpoint: needed to go on, not to use the model.
TRAINER_FILES = frozenset({STATE, "optimizer.pt", "scheduler.pt", "scaler.pt", "training_args.bin"})
#: One for each process that trains.
RANDOM_STATE = re.compile(r"rng_state(_\d+)?\.pth")


def checkpoint_folder(output: Path, step: int) -> Path:
    return output / f"checkpoint-{step}"


def newest_checkpoint(output: Path) -> tuple[int, Path] | None:
    """The checkpoint of the highest step that was written to its end; half-written ones go.

    The trainer writes its state last, so a checkpoint with a readable one is whole.
    """
    found = []
    for folder in output.glob("checkpoint-*"):
        step = _step(folder)
        if step is None:
            shutil.rmtree(folder)
        else:
            found.append((step, folder))
    return max(found) if found else None


def copy_model(source: Path, target: Path) -> None:
    """The model in a checkpoint, without the trainer's files, as hard links where possible.

    Linked files share their bytes on disk, and each folder survives the removal of the other.
    """
    for path in sorted(source.rglob("*")):
        place = target / path.relative_to(source)
        if path.is_dir():
            place.mkdir(parents=True, exist_ok=True)
        elif path.name not in TRAINER_FILES and not RANDOM_STATE.fullmatch(path.name):
            place.parent.mkdir(parents=True, exist_ok=True)
            _link(path, place)


def restore_adapter(model: Any, folder: Path) -> None:
    """Bring the weights of a saved adapter, and of what was trained beside it, into ``model``."""
    from workbench.models.assemble import copy_exactly, restore_modules

    copy_exactly(model[0].model, folder)
    restore_modules(model, folder)


def _link(path: Path, place: Path) -> None:
    place.unlink(missing_ok=True)
    try:
        os.link(path, place)
    except OSError:
        # Another file system, or one without links.
        shutil.copy2(path, place)


def _step(folder: Path) -> int | None:
    try:
        state = json.loads((folder / STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return int(state["global_step"])
