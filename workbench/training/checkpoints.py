"""Checkpoints: what of a run is kept, how it is written, and which one to go on from."""

import copy
import json
import logging
import os
import re
import shutil
import time
from collections.abc import Callable
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


#: On a CPU copies are worth their time where writing takes so many times as long, on a slow disk:
#: writing from main memory to one that keeps up is no slower than copying.
WORTH = 2.0


class Writer:
    """Writes one checkpoint at a time, on a thread of its own or at once.

    ``seconds``: what the last one took; 0 before the first.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._thread = ThreadPoolExecutor(1, "checkpoint")
        self._under_way: Future[None] | None = None

    def begin(self, write: Callable[[], None]) -> None:
        """Write this one while training goes on, when the one before is done; raises what that
        one met."""
        self.wait()
        self._under_way = self._thread.submit(self.write, write)

    def write(self, write: Callable[[], None]) -> None:
        """Write this one at once."""
        started = time.monotonic()
        write()
        self.seconds = time.monotonic() - started

    def check(self) -> None:
        """Raise what writing has met; returns at once while it goes on."""
        if self._under_way is not None and self._under_way.done():
            self.wait()

    def wait(self) -> None:
        """Until nothing is being written; raises what writing met, once."""
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            under_way.result()

    def end(self) -> None:
        """The same, and its thread is gone: that holds the model for a moment after the last one
        is written, when another model may be loaded already."""
        self._thread.shutdown()
        self.wait()

    def wait_after_failure(self) -> None:
        """The same where the run has failed by itself: why it did must not be hidden by this."""
        try:
            self.wait()
        except Exception:
            logger.exception("The last checkpoint could not be written.")


class Copies:
    """What a checkpoint holds, copied so that the next steps do not change it."""

    def __init__(self) -> None:
        #: What the last copies took; 0 before the first.
        self.seconds = 0.0
        #: Kept for the next copies: to get new memory takes longer than to fill it.
        self._places: dict[Any, torch.Tensor] = {}
        #: Copied once a run, for a tokenizer may have very many words: none of them changes.
        self._processors: dict[int, Any] = {}
        self._impossible = False

    def of(
        self, model: Any, optimizer: dict[str, Any], writing: float = 0.0
    ) -> tuple[Any, dict[str, Any]] | None:
        """The model and the optimizer's state with their numbers in main memory, good until the
        next copies. Weights that are not trained are shared.

        None where there is no room, where a part of the model cannot be copied, or on a CPU where
        ``writing`` (seconds; 0: unknown) takes hardly longer than copying.
        """
        not_worth = model.device.type == "cpu" and 0 < writing < WORTH * self.seconds
        if self._impossible or not_worth or not self._have_room(model, optimizer):
            self._places.clear()
            return None
        started = time.monotonic()
        try:
            found = copy.deepcopy(model, self._known(model)), self._in_memory(optimizer)
        except Exception:
            # A module from a model's own code may hold anything.
            logger.info("Checkpoints are written between steps.", exc_info=True)
            self._impossible = True
            self._places.clear()
            return None
        if model.device.type == "cuda":
            torch.cuda.current_stream(model.device).synchronize()
        self.seconds = time.monotonic() - started
        return found

    def _have_room(self, model: Any, optimizer: dict[str, Any]) -> bool:
        """Half of what is free stays so, for the steps that go on."""
        if self._places:
            return True
        trained = (one for one in model.parameters() if one.requires_grad)
        kept = (
            one
            for state in optimizer["state"].values()
            for one in state.values()
            if isinstance(one, torch.Tensor)
        )
        size = sum(map(_taken, (*trained, *model.buffers(), *kept)))
        return size <= (free_memory(gpu=False) or 0) / 2

    def _known(self, model: Any) -> dict[int, Any]:
        """What stands for what in a copy of the model, by the identity of the original."""
        # Frozen parts as they are: 8-bit layers hold their weights once more beside the parameters.
        known: dict[int, Any] = {id(one): one for one in model.modules() if _is_frozen(one)}
        for one in model.parameters():
            copied = torch.nn.Parameter(self._copied(id(one), one)) if one.requires_grad else one
            known[id(one)] = copied
        for one in model.buffers():
            known[id(one)] = self._copied(id(one), one)
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

    def _in_memory(self, state: Any, *path: Any) -> Any:
        """A state of tensors in dictionaries and lists; ``path`` says where in the whole one."""
        if isinstance(state, torch.Tensor):
            return self._copied(path, state)
        if isinstance(state, dict):
            return {key: self._in_memory(one, *path, key) for key, one in state.items()}
        if isinstance(state, list):
            return [self._in_memory(one, *path, at) for at, one in enumerate(state)]
        return state

    def _copied(self, key: Any, one: torch.Tensor) -> torch.Tensor:
        place = self._places.get(key)
        if place is None or place.shape != one.shape or place.dtype != one.dtype:
            place = torch.empty(one.shape, dtype=one.dtype, pin_memory=one.is_cuda)
            self._places[key] = place
        # A GPU's are all fetched together.
        return place.copy_(one.detach(), non_blocking=True)


def _taken(one: torch.Tensor) -> int:
    """Bytes that a copy in main memory takes. torch rounds pinned memory, which a GPU's copies are
    in, up to a power of two."""
    return 1 << (one.nbytes - 1).bit_length() if one.is_cuda and one.nbytes else one.nbytes


def _is_frozen(module: torch.nn.Module) -> bool:
    """Whether it has weights, and nothing of it changes in training."""
    weights = list(module.parameters())
    changing = any(one.requires_grad for one in weights) or any(True for _ in module.buffers())
    return bool(weights) and not changing


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
