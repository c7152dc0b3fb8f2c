"""Hands the run's batches to the trainer."""

from collections.abc import Iterator
from typing import Any

from sentence_transformers.base.sampler import DefaultBatchSampler

from workbench.training.batches import Batching


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
