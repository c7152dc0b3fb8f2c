"""sentence-transformers' trainers, with our dev evaluation, our checkpoints and our collators."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import (
    CrossEncoderTrainer,
    MultiVectorEncoderTrainer,
    SentenceTransformerTrainer,
)
from sentence_transformers.base.sampler import DefaultBatchSampler

from workbench.errors import JobCancelled
from workbench.models.contract import Contract
from workbench.models.image_text import reads_padding
from workbench.training.batches import Batching
from workbench.training.checkpoints import restore_adapter
from workbench.training.chunks import in_chunks
from workbench.training.rows import Texts
from workbench.training.tokens import Tokens

#: step -> metric values on dev.
DevEvaluation = Callable[[int], dict[str, float]]


class _Ours:
    """The library's step loop, unchanged; what stands around it is ours."""

    model: Any
    args: Any
    state: Any
    callback_handler: Any
    log: Any

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
            self._save_checkpoint(self.model, None)  # type: ignore[attr-defined]
            raise
        metrics = {f"eval_{name}": value for name, value in values.items()}
        self.log(dict(metrics))
        self.control: Any = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        return metrics

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:  # noqa: ARG002
        """A checkpoint is a whole model (or adapter) with its contract, usable by itself."""
        if not self.args.should_save:
            return  # The library calls this in every process, and they would write one file.
        folder = Path(output_dir or self.args.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        self._save_model(folder)
        self.contract.write(folder)

    def _save_model(self, folder: Path) -> None:
        self.model.save_pretrained(str(folder), create_model_card=False)

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

    def _save_model(self, folder: Path) -> None:
        """The losses cut pairs at the model's own length; who loads the folder alone is to read
        as much of them as the contract says."""
        trained, self.model.max_seq_length = self.model.max_seq_length, self.contract.longest
        try:
            super()._save_model(folder)
        finally:
            self.model.max_seq_length = trained


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
