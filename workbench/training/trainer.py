"""sentence-transformers' trainers, with our dev evaluation, our checkpoints and our collators."""

import copy
import logging
import shutil
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from sentence_transformers import (
    CrossEncoderTrainer,
    MultiVectorEncoderTrainer,
    SentenceTransformerTrainer,
)
from sentence_transformers.base.sampler import DefaultBatchSampler
from transformers.trainer_utils import rotate_checkpoints

from workbench.errors import JobCancelled
from workbench.models.contract import Contract
from workbench.models.image_text import reads_padding
from workbench.models.precision import tf32
from workbench.training.batches import Ahead, Batching, with_own_tokenizer
from workbench.training.checkpoints import (
    STATE,
    Copies,
    Writer,
    checkpoint_folder,
    finish,
    restore_adapter,
    unfinished_folder,
)
from workbench.training.chunks import in_chunks
from workbench.training.rows import Texts

logger = logging.getLogger(__name__)

# Texts as tokens, each tokenized once in a run and kept while there is room.

#: Bytes that tokens may take, and what each text's take besides.
ROOM, _AROUND = 240 << 20, 256
#: What every batch of texts is made of; where a model reads more, nothing is kept.
_KNOWN = frozenset({"input_ids", "attention_mask", "token_type_ids"})

#: A text's tokens, and the segments that they belong to, where not all to the first.
Read = tuple[NDArray[np.int32], NDArray[np.int8] | None]


class Tokens:
    """The tokens of texts, or of pairs of texts, by what names them (rows of the data set).

    ``preprocess`` makes the features of a batch, padded by ``tokenizer``. ``room``: bytes that may
    be kept; full, it keeps what it has: a run goes through its texts in a new order each time,
    where the latest are worth no more than others.
    """

    def __init__(
        self, preprocess: Callable[[list[Any]], dict[str, Any]], tokenizer: Any, room: int = ROOM
    ) -> None:
        self.preprocess = preprocess
        self.tokenizer = tokenizer
        self.room = room
        self._kept: dict[Hashable, Read] = {}
        #: What a batch has besides its tokens, and whether it has their segments.
        self._about: dict[str, Any] | None = None
        self._segments = False

    def features(self, names: Sequence[Hashable], texts: Callable[[], list[Any]]) -> dict[str, Any]:
        """What the model reads of these texts, as a batch in their order."""
        known = self._known(names)
        if known is not None:
            return self.batch(known)
        if self.room < _AROUND:
            return self.preprocess(texts())
        return self._read(names, texts())[0]

    def apart(self, names: Sequence[Hashable], texts: Callable[[], list[Any]]) -> list[Read] | None:
        """Each text's own tokens; None where a batch has more to it than they say."""
        known = self._known(names)
        if known is not None or self.room <= 0:
            return known
        return self._read(names, texts())[1]

    def batch(self, texts: Sequence[Read]) -> dict[str, Any]:
        """What the tokenizer would make of these texts together."""
        width = max((len(ids) for ids, _ in texts), default=0)
        front = self.tokenizer.padding_side == "left"
        ids = np.full((len(texts), width), self.tokenizer.pad_token_id or 0, dtype=np.int64)
        mask, segments = np.zeros_like(ids), np.zeros_like(ids)
        for at, (one, parts) in enumerate(texts):
            place = slice(width - len(one), width) if front else slice(0, len(one))
            ids[at, place], mask[at, place] = one, 1
            if parts is not None:
                segments[at, place] = parts
        made = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
        if self._segments:
            made["token_type_ids"] = torch.from_numpy(segments)
        return {**(self._about or {}), **made}

    def _known(self, names: Sequence[Hashable]) -> list[Read] | None:
        if self._about is None or not all(name in self._kept for name in names):
            return None
        return [self._kept[name] for name in names]

    def _read(
        self, names: Sequence[Hashable], texts: list[Any]
    ) -> tuple[dict[str, Any], list[Read] | None]:
        """A batch, and its texts' tokens if it can be made of them again just so."""
        found = self.preprocess(texts)
        if self.room <= 0:
            return found, None
        tensors = {name: one for name, one in found.items() if isinstance(one, torch.Tensor)}
        mask = tensors.get("attention_mask")
        if mask is None or mask.ndim != 2 or not _KNOWN >= set(tensors) >= {"input_ids"}:
            self.room = 0
            return found, None
        about = {name: one for name, one in found.items() if name not in tensors}
        if self._about is None:
            self._about, self._segments = about, "token_type_ids" in tensors
        apart = _apart(tensors, mask)
        again = self.batch(apart)
        if about != self._about or not all(
            torch.equal(again[name], tensors[name]) for name in tensors
        ):
            self.room = 0
            self._kept.clear()
            return found, None
        for name, one in zip(names, apart, strict=True):
            size = sum(part.nbytes + _AROUND for part in one if part is not None)
            # One byte stays: without any room nothing is taken apart.
            if name not in self._kept and size < self.room:
                self._kept[name] = one
                self.room -= size
        return found, apart


def _apart(tensors: dict[str, Any], mask: torch.Tensor) -> list[Read]:
    """What each row of a batch has where its mask is 1."""
    read = mask.numpy().astype(bool)
    ids = tensors["input_ids"].numpy().astype(np.int32)
    parts = tensors.get("token_type_ids")
    segments = parts.numpy().astype(np.int8) if parts is not None and parts.any() else None
    return [
        (line[kept], segments[at][kept] if segments is not None else None)
        for at, (line, kept) in enumerate(zip(ids, read, strict=True))
    ]


#: Devices that compute by themselves: batches are made meanwhile, and a step's numbers are not
#: waited for. On a CPU both would share its cores.
BY_THEMSELVES = frozenset({"cuda"})
#: Seconds between two fetches of the steps' numbers from such a device.
FETCH_EVERY = 0.5


@dataclass(frozen=True, slots=True)
class Unread:
    """A step whose numbers are still on the device."""

    step: int
    epoch: float
    loss: torch.Tensor
    grad_norm: Any
    learning_rate: float


#: step -> metric values on dev.
DevEvaluation = Callable[[int], dict[str, float]]


class _Ours:
    """The library's step loop. Ours are its batches, its checkpoints, how it is measured, and when
    its numbers are fetched."""

    model: Any
    args: Any
    state: Any
    control: Any
    data_collator: Any
    optimizer: Any
    lr_scheduler: Any
    callback_handler: Any
    log: Any
    store_flos: Any
    _globalstep_last_logged: int
    _total_loss_scalar: float
    _save_rng_state: Any
    _save_scaler: Any

    def __init__(
        self,
        model: Any,
        *,
        contract: Contract,
        dev: DevEvaluation | None,
        **options: Any,
    ) -> None:
        self.contract = contract
        self.dev = dev
        self.writer = Writer()
        self.copies = Copies()
        self._ahead: Ahead | None = None
        self._maker: ThreadPoolExecutor | None = None
        self._unread: list[Unread] = []
        self._fetched = 0.0
        if not reads_padding(model):
            in_chunks(model)
        super().__init__(model=model, **options)  # type: ignore[call-arg]

    def _thread_for_batches(self) -> ThreadPoolExecutor | None:
        """None where batches are made between steps."""
        if self.args.device.type not in BY_THEMSELVES:
            return None
        try:
            self.data_collator.model = with_own_tokenizer(self.model)
        except Exception:
            # A module from a model's own code may hold anything.
            logger.info("Batches are made between steps.", exc_info=True)
            return None
        device = self.args.device
        # What it pins is pinned for this process's device.
        begin = partial(torch.cuda.set_device, device) if device.type == "cuda" else None
        return ThreadPoolExecutor(1, "batches", initializer=begin)

    def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: Any) -> Any:
        if self._maker is not None:
            if self._ahead is None or self._ahead.source is not epoch_iterator:
                self._ahead = Ahead(epoch_iterator, self._maker, num_batches)
            epoch_iterator = self._ahead
        return super().get_batch_samples(epoch_iterator, num_batches, device)  # type: ignore[misc]

    def _maybe_log_save_evaluate(
        self, tr_loss: Any, grad_norm: Any, *args: Any, learning_rate: Any = None, **options: Any
    ) -> None:
        """The library fetches each step's numbers when the step has been handed to the device, and
        waits for it. Here several steps' are fetched together, before anything is made of them."""
        control, step = self.control, self.state.global_step
        # Processes would have to agree about the time.
        if self.args.device.type in BY_THEMSELVES and self.args.world_size == 1:
            if control.should_log and step > self._globalstep_last_logged:
                one = (tr_loss.detach().clone(), grad_norm, learning_rate)
                self._unread.append(Unread(step, self.state.epoch, *one))
                tr_loss.zero_()
                self._globalstep_last_logged = step
                control.should_log = False
            soon = control.should_evaluate or control.should_save or control.should_training_stop
            late = time.monotonic() - self._fetched >= FETCH_EVERY
            if soon or late or step >= self.state.max_steps:
                self._fetch()
        super()._maybe_log_save_evaluate(  # type: ignore[misc]
            tr_loss, grad_norm, *args, learning_rate=learning_rate, **options
        )

    def _fetch(self) -> None:
        """Report the steps that have not been, each as if it were the last one."""
        unread, self._unread = self._unread, []
        if not unread:
            return
        numbers = [torch.as_tensor(part) for one in unread for part in (one.loss, one.grad_norm)]
        fetched = torch.stack([one.to(self.args.device).float() for one in numbers]).tolist()
        now = self.state.global_step, self.state.epoch
        self.store_flos()
        try:
            for one, loss, norm in zip(unread, fetched[::2], fetched[1::2], strict=True):
                self.state.global_step, self.state.epoch = one.step, one.epoch
                self._total_loss_scalar += loss
                rate = one.learning_rate
                self.log({"loss": loss, "grad_norm": norm, "learning_rate": rate})
        finally:
            self.state.global_step, self.state.epoch = now
        self._fetched = time.monotonic()

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """None: the library's card would quote row numbers as examples; card.py writes ours."""

    def get_train_dataloader(self) -> Any:
        """Among several processes, resuming in a later epoch would draw the first one's order:
        accelerate wraps the sampler twice then, and the epoch's number does not pass through."""
        loader = super().get_train_dataloader()  # type: ignore[misc]
        shard = loader.batch_sampler
        sampler: Any = getattr(shard, "batch_sampler", None)
        if hasattr(sampler, "set_epoch") and not hasattr(shard, "set_epoch"):
            shard.set_epoch = sampler.set_epoch
        return loader

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **options: Any) -> Any:
        # The model alone is computed in the run's precision, by accelerate; what the loss makes of
        # its vectors or scores is fp32 (in an fp32 run on a GPU, TF32 like the model).
        with torch.autocast(self.args.device.type, enabled=False):
            return super().compute_loss(model, inputs, *args, **options)  # type: ignore[misc]

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Measure on dev as every other place of the workbench measures."""
        assert self.dev is not None, "the cadence asks for evaluations only where there is a dev"
        try:
            values = self.dev(self.state.global_step)
        except JobCancelled:
            # The steps since the last checkpoint would be lost otherwise.
            self._save_checkpoint(self.model, None)
            raise
        metrics = {f"eval_{name}": value for name, value in values.items()}
        self.log(dict(metrics))
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        return metrics

    def train(self, *args: Any, **options: Any) -> Any:
        """Whatever ends it, the last checkpoint is whole then; raises what writing it met."""
        self._maker = self._thread_for_batches()
        try:
            return super().train(*args, **options)  # type: ignore[misc]
        except Exception as error:
            # The steps before it are reported, if the device still answers.
            with suppress(Exception):
                self._fetch()
            if not isinstance(error, JobCancelled):
                self.writer.wait_after_failure()
            raise
        finally:
            if self._maker is not None:
                self._maker.shutdown(cancel_futures=True)
            self.writer.end()

    def training_step(self, *args: Any, **options: Any) -> Any:
        self.writer.check()
        # Between steps dev is measured, in fp32 like the model before training.
        fp32 = not (self.args.bf16 or self.args.fp16)
        with tf32(wanted=fp32 and self.args.device.type == "cuda"):
            return super().training_step(*args, **options)  # type: ignore[misc]

    def _save_checkpoint(self, model: Any, trial: Any) -> None:  # noqa: ARG002
        """A whole model (or adapter) with its contract, usable by itself, and how to go on.

        What it holds is copied here, and written by a thread while the next steps are taken; where
        there is no room for copies, or they are not worth their time, it is written here.
        """
        self.writer.wait()
        self.store_flos()
        output, step = Path(self.args.output_dir), self.state.global_step
        unfinished, folder = unfinished_folder(output, step), checkpoint_folder(output, step)
        # Each process has its own; the first one writes all else.
        self._save_rng_state(str(unfinished))
        if self.args.world_size > 1:
            dist.barrier()
        if not self.args.should_save:
            return
        self._save_scaler(str(unfinished))
        if self.state.best_global_step:
            best = checkpoint_folder(output, self.state.best_global_step)
            if best == folder or best.is_dir():
                self.state.best_model_checkpoint = str(best)
        state = copy.copy(self.state)
        state.log_history = list(state.log_history)
        state.stateful_callbacks = {"TrainerControl": self.control.state()}
        scheduler = copy.deepcopy(self.lr_scheduler.state_dict())
        optimizer = self.optimizer.state_dict()
        copied = self.copies.of(self.model, optimizer, self.writer.seconds)
        trained, optimizer = copied or (self.model, optimizer)

        def write() -> None:
            try:
                self._save_model(trained, unfinished)
                self.contract.write(unfinished)
                torch.save(optimizer, unfinished / "optimizer.pt")
                torch.save(scheduler, unfinished / "scheduler.pt")
                state.save_to_json(str(unfinished / STATE))
                finish(unfinished, folder)
            except BaseException:
                # Its room on disk is what is missing, more often than not.
                shutil.rmtree(unfinished, ignore_errors=True)
                raise
            rotate_checkpoints(
                str(output), self.args.save_total_limit, state.best_model_checkpoint, use_mtime=True
            )

        if copied is None:
            self.writer.write(write)
        else:
            self.writer.begin(write)

    def _save_model(self, model: Any, folder: Path) -> None:
        model.save_pretrained(str(folder), create_model_card=False)

    def _load_from_checkpoint(self, checkpoint_path: str) -> None:
        """Resume. The library would load an adapter's base again, in another number format."""
        if (Path(checkpoint_path) / "adapter_config.json").is_file():
            restore_adapter(self.model, Path(checkpoint_path))
            return
        super()._load_from_checkpoint(checkpoint_path)  # type: ignore[misc]


class EmbeddingTrainer(_Ours, SentenceTransformerTrainer):
    """For embedding models."""


class LateInteractionTrainer(_Ours, MultiVectorEncoderTrainer):
    """For late-interaction models."""


class RerankerTrainer(_Ours, CrossEncoderTrainer):
    """For rerankers; their losses get texts and ask the model for the tokens of pairs."""

    def _save_model(self, model: Any, folder: Path) -> None:
        """The losses cut pairs at the model's own length; who loads the folder alone is to read
        as much of them as the contract says."""
        trained, model.max_seq_length = model.max_seq_length, self.contract.longest
        try:
            super()._save_model(model, folder)
        finally:
            model.max_seq_length = trained


# Turns a batch of row numbers into tokens, with the prompt and length of each column's role.


class Collator:
    """What the trainer calls on every batch.

    sentence-transformers' own takes one length for both roles and prompts from the arguments only;
    this one obeys the contract, the same object that evaluation, search and saving obey.
    """

    #: The trainer asks for it: a teacher's scores.
    valid_label_columns: Sequence[str] = ("label",)

    def __init__(self, model: Any, queries: Texts, documents: Texts, contract: Contract) -> None:
        self.model = model
        self.contract = contract
        self.tokens = {
            role: Tokens(partial(self.read, role), model.tokenizer)
            for role in ("query", "document")
        }
        self.texts = {"query": queries, "document": documents}

    def __call__(self, features: list[dict[str, Any]]) -> dict[str, Any]:
        """Features of the queries and of the documents: the positives, then what negatives are."""
        columns = [name for name in features[0] if name not in ("query", "label")]
        rows = {
            "query": [one["query"] for one in features],
            "document": [one[name] for name in columns for one in features if one[name] >= 0],
        }
        batch: dict[str, Any] = {}
        for role, named in rows.items():
            for key, value in self._features(role, named).items():
                batch[f"{role}_{key}"] = value
            # Late interaction masks queries and documents in different ways.
            batch[f"{role}_task"] = role
        if "label" in features[0]:
            batch["label"] = torch.tensor([one["label"] for one in features])
        return batch

    def read(self, role: str, texts: list[str]) -> dict[str, Any]:
        """Tokens of a role's texts, as LoadedEmbedding reads them, so that the model is trained on
        what it will be asked."""
        contract = self.contract
        prompt, length = contract.document_prompt, contract.passage_max_len
        if role == "query":
            prompt, length = contract.query_prompt, contract.query_max_len
        return dict(
            self.model.preprocess(texts, prompt=prompt or None, task=role, max_length=length)
        )

    def _features(self, role: str, rows: list[int]) -> dict[str, Any]:
        return self.tokens[role].features(rows, partial(self.texts[role].get, rows))


# Hands the run's batches to the trainer.


class Batches(DefaultBatchSampler):
    """The batches of ``made``, epoch by epoch; its length is the number that it gives.

    The trainer sets the epoch, and skips the batches of one that it resumes in.
    """

    def __init__(self, made: Batching, dataset: Any, **options: Any) -> None:
        super().__init__(dataset, **options)
        # They have several sizes: accelerate would drop those that are not full.
        self.batch_size = None
        self.made = made

    def __iter__(self) -> Iterator[list[int]]:
        for batch in self.made.epoch(self.epoch):
            yield batch.tolist()

    def __len__(self) -> int:
        return len(self.made)
