"""sentence-transformers' trainers, with our dev evaluation, our checkpoints and our collators."""

import copy
import shutil
from collections.abc import Callable, Iterator, Sequence
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
from workbench.training.batches import Batching
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

# Texts as tokens, each tokenized once in a run and kept while there is room.

#: Bytes that tokens may take, and what each text's take besides.
ROOM, _AROUND = 240 << 20, 256
#: What every batch of texts is made of; where a model reads more, nothing is kept.
_KNOWN = frozenset({"input_ids", "attention_mask", "token_type_ids"})

Ids = NDArray[np.int32]


class Tokens:
    """The tokens of one role's texts, by their row in the data set.

    ``preprocess`` makes the features of a batch of texts, padded by ``tokenizer``. ``room``: bytes
    that may be kept; full, it keeps what it has: a run goes through its texts in a new order each
    time, where the latest are worth no more than others.
    """

    def __init__(
        self,
        preprocess: Callable[[list[str]], dict[str, Any]],
        get: Callable[[Sequence[int]], list[str]],
        tokenizer: Any,
        room: int = ROOM,
    ) -> None:
        self.preprocess = preprocess
        self.get = get
        self.tokenizer = tokenizer
        self.room = room
        self._kept: dict[int, Ids] = {}
        #: What a batch has besides its tokens, and whether it has their segments.
        self._about: dict[str, Any] | None = None
        self._segments = False

    def features(self, rows: Sequence[int]) -> dict[str, Any]:
        """What the model reads of these rows' texts, as a batch in their order."""
        if self._about is not None and all(row in self._kept for row in rows):
            return self._batch([self._kept[row] for row in rows])
        found = self.preprocess(self.get(rows))
        if self.room > 0:
            self._keep(rows, found)
        return found

    def _keep(self, rows: Sequence[int], found: dict[str, Any]) -> None:
        """Keep the tokens of a batch, if it can be made of them again just so."""
        tensors = {name: one for name, one in found.items() if isinstance(one, torch.Tensor)}
        mask = tensors.get("attention_mask")
        if mask is None or mask.ndim != 2 or not _KNOWN >= set(tensors) >= {"input_ids"}:
            self.room = 0
            return
        about = {name: one for name, one in found.items() if name not in tensors}
        if self._about is None:
            self._about, self._segments = about, "token_type_ids" in tensors
        read = mask.numpy().astype(bool)
        ids = tensors["input_ids"].numpy().astype(np.int32)
        texts = [line[kept] for line, kept in zip(ids, read, strict=True)]
        again = self._batch(texts)
        if about != self._about or not all(
            torch.equal(again[name], tensors[name]) for name in tensors
        ):
            self.room = 0
            self._about = None
            self._kept.clear()
            return
        for row, one in zip(rows, texts, strict=True):
            size = one.nbytes + _AROUND
            if row not in self._kept and size <= self.room:
                self._kept[row] = one
                self.room -= size

    def _batch(self, texts: list[Ids]) -> dict[str, Any]:
        width = max(map(len, texts), default=0)
        front = self.tokenizer.padding_side == "left"
        ids = np.full((len(texts), width), self.tokenizer.pad_token_id or 0, dtype=np.int64)
        mask = np.zeros((len(texts), width), dtype=np.int64)
        for at, one in enumerate(texts):
            place = slice(width - len(one), width) if front else slice(0, len(one))
            ids[at, place], mask[at, place] = one, 1
        made = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
        if self._segments:
            made["token_type_ids"] = torch.zeros_like(made["input_ids"])
        return {**(self._about or {}), **made}


#: step -> metric values on dev.
DevEvaluation = Callable[[int], dict[str, float]]


class _Ours:
    """The library's step loop, unchanged; what stands around it is ours."""

    model: Any
    args: Any
    state: Any
    control: Any
    optimizer: Any
    lr_scheduler: Any
    callback_handler: Any
    log: Any
    store_flos: Any
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
        if not reads_padding(model):
            in_chunks(model)
        super().__init__(model=model, **options)  # type: ignore[call-arg]

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
        # its vectors or scores is fp32.
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
        try:
            return super().train(*args, **options)  # type: ignore[misc]
        finally:
            self.writer.wait()

    def training_step(self, *args: Any, **options: Any) -> Any:
        self.writer.check()
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
        best = checkpoint_folder(output, self.state.best_global_step or step)
        if self.state.best_global_step and (best == folder or best.is_dir()):
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
    """For rerankers; their losses get texts and tokenize pairs themselves."""

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
            role: Tokens(partial(self.read, role), texts.get, model.tokenizer)
            for role, texts in (("query", queries), ("document", documents))
        }

    def __call__(self, features: list[dict[str, Any]]) -> dict[str, Any]:
        batch: dict[str, Any] = {}
        for column in features[0]:
            if column == "label":
                batch["label"] = torch.tensor([feature["label"] for feature in features])
                continue
            rows = [feature[column] for feature in features]
            for key, value in self._column(column, rows).items():
                batch[f"{column}_{key}"] = value
            # Late interaction masks queries and documents in different ways.
            batch[f"{column}_task"] = _role(column)
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

    def _column(self, column: str, rows: list[int]) -> dict[str, Any]:
        return self.tokens[_role(column)].features(rows)


def _role(column: str) -> str:
    return "query" if column == "query" else "document"


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
