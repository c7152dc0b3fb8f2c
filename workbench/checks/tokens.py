"""How long the texts of a training split are, in tokens of the model's own tokenizer."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from workbench.checks.report import Lengths
from workbench.data.reader import DatasetReader
from workbench.evaluation.texts import join_documents
from workbench.models.contract import Contract

#: Texts of each role that are looked at.
SAMPLE = 1000


def sample_texts(
    reader: DatasetReader, table: Any, contract: Contract, seed: int
) -> tuple[list[str], list[str]]:
    """Up to :data:`SAMPLE` queries and documents of the training rows, chosen by the seed.

    ``table`` has the columns query, positive and negatives (lists), as row numbers.
    """
    random = np.random.default_rng(seed)
    chosen = random.permutation(table.num_rows)[:SAMPLE]
    picked = table.take(np.sort(chosen))
    queries = reader.queries("train")
    first = queries["row"][0].as_py()
    texts = queries["text"].take(picked["query"].to_numpy() - first).to_pylist()
    documents = picked["positive"].to_pylist()
    documents += [row for rows in picked["negatives"].to_pylist() for row in rows or []]
    rows = np.unique(np.asarray(documents, np.int64))
    rows = np.sort(random.permutation(rows)[:SAMPLE])
    joined = join_documents(reader.documents_at(rows.tolist()), contract).to_pylist()
    return texts, joined


def lengths(
    tokenizer: Path, role: str, texts: Sequence[str], prompt: str, limit: int
) -> tuple[Lengths, list[int]]:
    """What the texts of a role come to, and each one's tokens after cutting."""
    from tokenizers import Tokenizer

    reader = Tokenizer.from_file(str(tokenizer))
    # The file may bring its own cut and padding.
    reader.no_truncation()
    reader.no_padding()
    encoded = reader.encode_batch([prompt + text for text in texts])
    counts = np.array([len(one.ids) for one in encoded] or [0])
    cut = np.minimum(counts, limit)
    about = Lengths(
        role=role,
        limit=limit,
        sampled=len(texts),
        mean=float(cut.mean()),
        p95=int(np.percentile(counts, 95)),
        longest=int(cut.max()),
        cut=float((counts > limit).mean()),
    )
    return about, cut.tolist()
