"""Turns a batch of row numbers into tokens, with the prompt and length of each column's role."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from workbench.models.contract import Contract
from workbench.training.rows import Texts


class Collator:
    """What the trainer calls on every batch.

    sentence-transformers' own takes one length for both roles and prompts from the arguments only;
    this one obeys the contract, the same object that evaluation, search and saving obey.
    """

    #: The trainer asks for it: a teacher's scores.
    valid_label_columns: Sequence[str] = ("label",)

    def __init__(
        self,
        preprocess: Callable[..., dict[str, Any]],
        queries: Texts,
        documents: Texts,
        contract: Contract,
    ) -> None:
        self.preprocess = preprocess
        self.queries = queries
        self.documents = documents
        self.contract = contract

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
            batch[f"{column}_task"] = "query" if column == "query" else "document"
        return batch

    def _column(self, column: str, rows: list[int]) -> dict[str, Any]:
        contract = self.contract
        if column == "query":
            role, source = "query", self.queries
            prompt, length = contract.query_prompt, contract.query_max_len
        else:
            role, source = "document", self.documents
            prompt, length = contract.document_prompt, contract.passage_max_len
        # As LoadedEmbedding encodes, so that the model is trained on what it will be asked.
        return self.preprocess(
            source.get(rows), prompt=prompt or None, task=role, max_length=length
        )
