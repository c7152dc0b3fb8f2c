"""Checkpoints: what of a run is kept, how it is written, and which one to go on from."""

import copy
import json
import logging
import os
import re
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

from workbench.checks.run_facts import free_memory

logger = logging.getLogger(__name__)

STATE = "trainer_state.json"
#: The trainer's own files in a checkpoint: needed to go on, not to use the model.
TRAINER_FILES = frozenset({STATE, "optimizer.pt", "scheduler.pt", "scaler.pt", "training_args.bin"})
#: One for each process that trains.
RANDOM_STATE = re.compile(r"rng_state(_\d+)?\.pth")


#: The name of a checkpoint that is being written, before its step.
_UNFINISHED = "unfinished-"


def checkpoint_folder(output: Path, step: int) -> Path:
    return output / f"checkpoint-{step}"


def unfinished_folder(output: Path, step: int) -> Path:
    """Where a checkpoint is written; it gets its own name when it is whole."""
    return output / f"{_UNFINISHED}{step}"


def finish(unfinished: Path, folder: Path) -> None:
    """Give a checkpoint that is whole its name; an earlier attempt's of that step goes."""
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.replace(folder)


def remove_unfinished(output: Path) -> None:
    """What an attempt that was killed has left."""
    for left in output.glob(f"{_UNFINISHED}*"):
        shutil.rmtree(left)


def newest_checkpoint(output: Path) -> tuple[int, Path] | None:
    """The checkpoint of the highest step that was written to its end; half-written ones go.

    The trainer's state is written last, so a checkpoint with a readable one is whole.
    """
    remove_unfinished(output)
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


class Writer:
    """Writes one checkpoint at a time on a thread of its own, while training goes on."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "checkpoint")
        self._under_way: Future[None] | None = None

    def begin(self, write: Callable[[], None]) -> None:
        """Write this one when the one before is done; raises what that one met."""
        self.wait()
        self._under_way = self._thread.submit(write)

    def check(self) -> None:
        """Raise what writing has met; returns at once while it goes on."""
        if self._under_way is not None and self._under_way.done():
            self.wait()

    def wait(self) -> None:
        """Until nothing is being written; raises what writing met, once."""
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            under_way.result()


class Copies:
    """What a checkpoint holds, copied so that the next steps do not change it."""

    def __init__(self) -> None:
        #: Copied once a run, for a tokenizer may have very many words: nothing of them changes.
        self._processors: dict[int, Any] = {}

    def of(self, model: Any, optimizer: dict[str, Any]) -> tuple[Any, dict[str, Any]] | None:
        """The model and the optimizer's state with their numbers in main memory.

        Weights that are not trained are shared. None where there is no room for a copy, or where a
        part of the model cannot be copied.
        """
        size = sum(one.nbytes for one in _numbers(model, optimizer))
        # Half of what is free stays so, for the steps that go on.
        if size > (free_memory(gpu=False) or 0) / 2:
            return None
        try:
            return copy.deepcopy(model, self._known(model)), in_memory(optimizer)
        except Exception:
            # A module from a model's own code may hold anything.
            logger.info("Checkpoints are written between steps.", exc_info=True)
            return None

    def _known(self, model: Any) -> dict[int, Any]:
        """What stands for what in a copy of the model, by the identity of the original."""
        known: dict[int, Any] = {}
        for one in model.parameters():
            known[id(one)] = torch.nn.Parameter(_copied(one)) if one.requires_grad else one
        for one in model.buffers():
            known[id(one)] = _copied(one)
        # The library's card knows the trainer and its data, and is not written.
        known[id(model.model_card_data)] = model.model_card_data
        for module in model.modules():
            # A thread must not read a tokenizer that is in use: it changes how that one cuts.
            processor = getattr(module, "processor", None)
            if processor is not None:
                key = id(processor)
                if key not in self._processors:
                    self._processors[key] = copy.deepcopy(processor)
                known[key] = self._processors[key]
        return known


def in_memory(state: Any) -> Any:
    """A state of tensors in dictionaries and lists, with copies of the tensors in main memory."""
    if isinstance(state, torch.Tensor):
        return _copied(state)
    if isinstance(state, dict):
        return {name: in_memory(one) for name, one in state.items()}
    if isinstance(state, list | tuple):
        return type(state)(in_memory(one) for one in state)
    return state


def _copied(one: torch.Tensor) -> torch.Tensor:
    return one.detach().to("cpu", copy=True)


def _numbers(model: Any, optimizer: dict[str, Any]) -> Iterator[torch.Tensor]:
    yield from (one for one in model.parameters() if one.requires_grad)
    yield from model.buffers()
    for state in optimizer["state"].values():
        yield from (one for one in state.values() if isinstance(one, torch.Tensor))


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
