"""The README of a merged or blended model: what it is, and how to use it outside."""

from pathlib import Path

from workbench.models.contract import Contract

_TAGS = {
    "embedding": "pipeline_tag: sentence-similarity\ntags: [sentence-transformers, retrieval]",
    "reranker": "pipeline_tag: text-ranking\ntags: [sentence-transformers, reranker]",
    "late-interaction": "tags: [sentence-transformers, multi-vector, ColBERT, retrieval]",
    "image-text": "tags: [sentence-transformers, CLIP, image-text, retrieval]",
}
_CLASS = {
    "embedding": "SentenceTransformer",
    "reranker": "CrossEncoder",
    "late-interaction": "MultiVectorEncoder",
    "image-text": "SentenceTransformer",
}
_USE = {
    "embedding": 'queries = model.encode_query(["..."], normalize_embeddings={normalize})\n'
    'documents = model.encode_document(["..."], normalize_embeddings={normalize})',
    "reranker": 'scores = model.predict([("a query", "a document")])',
    "late-interaction": 'queries = model.encode_query(["..."])\n'
    'documents = model.encode_document(["..."])\n'
    "scores = model.similarity(queries, documents)",
    "image-text": 'texts = model.encode(["..."], normalize_embeddings={normalize})\n'
    'pictures = model.encode(["a-picture.jpg"], normalize_embeddings={normalize})',
}
_PAGE = """\
---
library_name: sentence-transformers
{tags}
---

# {name}

{what}

```python
from sentence_transformers import {cls}

model = {cls}("path/to/this/folder")
{use}
```

Prompts and lengths are saved with the model; `contract.json` holds them for programs.
"""


def write_merged(folder: Path, name: str, base: str, adapter: str, contract: Contract) -> None:
    what = (
        f"The adapter `{adapter}` merged into its base model `{base}` at full precision (fp32). "
        "Checked after merging:\nit computes what the adapter computes on that base."
    )
    _write(folder, name, what, contract)


def write_blended(
    folder: Path, name: str, base: str, tuned: str, ratio: float, contract: Contract
) -> None:
    what = (
        f"Weights between two models: {ratio:g} of the fine-tuned `{tuned}` and {1 - ratio:g} of "
        f"its base `{base}`."
    )
    _write(folder, name, what, contract)


def _write(folder: Path, name: str, what: str, contract: Contract) -> None:
    kind = contract.kind
    page = _PAGE.format(
        tags=_TAGS[kind],
        name=name,
        what=what,
        cls=_CLASS[kind],
        use=_USE[kind].format(normalize=contract.normalize),
    )
    (folder / "README.md").write_text(page, encoding="utf-8")
