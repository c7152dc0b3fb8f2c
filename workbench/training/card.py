"""The model's README: what it is, what training changed, and how to use it outside."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template

from workbench.comparison.names import METRICS, label
from workbench.models.contract import Contract


@dataclass(frozen=True, slots=True)
class Card:
    """All that the README says. ``before`` and ``after`` are empty where there was no dev."""

    name: str
    base: str
    dataset: str
    dataset_version: int
    contract: Contract
    before: Mapping[str, float]
    after: Mapping[str, float]
    beats_base: bool | None
    dev_queries: int
    dev_documents: int
    rows: int
    steps: int
    best_step: int
    settings: Mapping[str, object]


PAGE = Template("""\
---
library_name: sentence-transformers
pipeline_tag: sentence-similarity
tags: [sentence-transformers, feature-extraction, retrieval]
---

# $name

An embedding model for retrieval: it maps queries and documents to vectors of $dimensions numbers
whose inner product says how well they fit. Fine-tuned from `$base` on the data set `$dataset`
(version $version, $rows training rows, $steps steps; the weights are those of step $best_step).

## Before and after

$measured

## How to use it

```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("path/to/this/folder")
queries = model.encode_query(["..."], normalize_embeddings=$normalize)
documents = model.encode_document(["..."], normalize_embeddings=$normalize)
scores = queries @ documents.T
```

`encode_query` and `encode_document` put the prompts in front that the model was trained with.

| What | How it was trained and measured |
| --- | --- |
| Query prompt | $query_prompt |
| Document prompt | $document_prompt |
| Query length | $query_max_len tokens |
| Document length | $passage_max_len tokens |
| Title and text | joined with $separator |
| Pooling | $pooling |
| Normalised | $normalized |

`contract.json` holds the same for programs.

## Settings

$settings
""")


def write_card(folder: Path, card: Card) -> None:
    contract = card.contract
    page = PAGE.substitute(
        name=card.name,
        base=card.base,
        dataset=card.dataset,
        version=card.dataset_version,
        rows=f"{card.rows:,}",
        steps=f"{card.steps:,}",
        best_step=f"{card.best_step:,}",
        dimensions=contract.dimensions,
        measured=_measured(card),
        normalize=contract.normalize,
        query_prompt=_code(contract.query_prompt),
        document_prompt=_code(contract.document_prompt),
        query_max_len=contract.query_max_len,
        passage_max_len=contract.passage_max_len,
        separator=_code(contract.title_separator),
        pooling=contract.pooling,
        normalized="yes" if contract.normalize else "no",
        settings="\n".join(f"- {name}: {value}" for name, value in card.settings.items()),
    )
    (folder / "README.md").write_text(page, encoding="utf-8")


def _measured(card: Card) -> str:
    if not card.after:
        return "The data set has no dev queries, so the model was not measured during training."
    lines = [
        f"On {card.dev_queries} dev queries over {card.dev_documents:,} documents. The best "
        "checkpoint was chosen by these queries, so compare on the test split before you decide.",
        "",
        "| Metric | Original | Fine-tuned | Difference |",
        "| --- | ---: | ---: | ---: |",
    ]
    for metric in METRICS:
        before, after = card.before[metric], card.after[metric]
        lines.append(f"| {label(metric)} | {before:.3f} | {after:.3f} | {after - before:+.3f} |")
    if not card.beats_base:
        lines += ["", "No better than the original: use the original instead."]
    return "\n".join(lines)


def _code(text: str) -> str:
    shown = text.replace("`", "'").replace("|", "\\|").replace("\n", "\\n")
    return f"`{shown}`" if text else "none"
