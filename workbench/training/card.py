"""The model's README: what it is, what training changed, and how to use it outside."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template

from workbench.comparison.names import label
from workbench.comparison.table import LENGTHS, lengths
from workbench.evaluation.pairs import SPEARMAN
from workbench.models.contract import Contract
from workbench.takeaway.snippet import snippet
from workbench.training.dev import ORIGINAL


@dataclass(frozen=True, slots=True)
class Card:
    """All that the README says. ``before`` (the untrained model), ``baseline`` (what had to be
    beaten) and ``after`` are empty where there was no dev."""

    name: str
    base: str
    dataset: str
    dataset_version: int
    contract: Contract
    method: str
    before: Mapping[str, float]
    baseline: Mapping[str, float]
    baseline_name: str
    after: Mapping[str, float]
    verdict: str
    dev_queries: int
    dev_documents: int
    #: In how many folds these queries were measured by models that were trained without them; 0:
    #: while the model trained, and the best checkpoint was chosen by them.
    folds: int
    rows: int
    steps: int
    best_step: int
    #: After how many tokens training cut texts.
    trained_at: Mapping[str, int]
    #: What was left out of the rankings, in sentences.
    excluded: tuple[str, ...]
    settings: Mapping[str, object]


PAGE = """\
---
library_name: sentence-transformers
$tags
---

# $name

$what Fine-tuned from `$base` on the data set `$dataset`
(version $version, $rows training rows, $steps steps; the weights are those of
step $best_step).$adapter

## Before and after

$measured

## How to use it

```python
$use
```

| What | How it is used, and was measured |
| --- | --- |
$facts

`contract.json` holds the same for programs.

## Settings

$settings
"""


def write_card(folder: Path, card: Card) -> None:
    contract, kind = card.contract, card.contract.model_kind
    about = {"dimensions": contract.dimensions, "normalize": contract.normalize}
    values = {
        "tags": kind.tags,
        "what": Template(kind.description).substitute(about),
        "use": snippet(contract),
        "name": card.name,
        "base": card.base,
        "dataset": card.dataset,
        "version": card.dataset_version,
        "rows": f"{card.rows:,}",
        "steps": f"{card.steps:,}",
        "best_step": f"{card.best_step:,}",
        "adapter": _adapter(card),
        "measured": _measured(card),
        "facts": "\n".join(f"| {name} | {value} |" for name, value in _all_facts(card)),
        "settings": "\n".join(f"- {name}: {value}" for name, value in card.settings.items()),
    }
    (folder / "README.md").write_text(Template(PAGE).substitute(values), encoding="utf-8")


def _adapter(card: Card) -> str:
    if card.method == "full":
        return ""
    kept = card.contract.quantization or card.contract.dtype
    return f" This folder holds an adapter over its base model, whose weights were kept in {kept}."


def _all_facts(card: Card) -> list[tuple[str, str]]:
    query, document = (card.trained_at[name] for name in LENGTHS)
    trained = f"queries truncated to {query} tokens, documents to {document}"
    return [*_facts(card.contract), ("In training", trained)]


def _facts(contract: Contract) -> list[tuple[str, str]]:
    lengths = [
        ("Query length", f"{contract.query_max_len} tokens"),
        ("Document length", f"{contract.passage_max_len} tokens"),
        ("Title and text", f"joined with {_code(contract.title_separator)}"),
    ]
    kind = contract.model_kind
    if kind.reads_pairs:
        answers = f"{_code(contract.yes_token)} against {_code(contract.no_token)}"
        llm = [("Answers", answers), ("Instruction", _code(contract.instruction))]
        return lengths + (llm if contract.architecture == "llm" else [])
    prompts = [
        ("Query prompt", _code(contract.query_prompt)),
        ("Document prompt", _code(contract.document_prompt)),
    ]
    if kind.token_vectors:
        return prompts + lengths
    if kind.reads_pictures:
        scaled = ("Normalised", "yes" if contract.normalize else "no")
        return [("Text prompt", prompts[0][1]), ("Text length", lengths[0][1]), scaled]
    scaled = ("Normalised", "yes" if contract.normalize else "no")
    return [*prompts, *lengths, ("Pooling", contract.pooling), scaled]


def _measured(card: Card) -> str:
    if not card.after:
        return "The data set has no dev queries, so the model was not measured during training."
    staged = card.baseline_name != ORIGINAL
    first = f" {card.baseline_name[0].upper()}{card.baseline_name[1:]} |" if staged else ""
    where = f"{card.dev_queries} dev queries over {card.dev_documents:,} documents"
    if SPEARMAN in card.after:
        where = f"{card.dev_queries:,} scored pairs of dev (correlation with their scores)"
    said = " ".join([*card.excluded, *lengths([card.contract.model_dump()])])
    if card.folds:
        where = f"{card.dev_queries:,} queries over up to {card.dev_documents:,} documents"
        chosen = (
            "Each query was measured by a model that was trained without it; this model was then "
            "trained on all of them."
        )
    else:
        chosen = (
            "The best checkpoint was chosen by these, so compare on the test split before you "
            "decide."
        )
    lines = [
        f"On {where}. {said} {chosen}",
        "",
        f"| Metric |{first} {'Untrained' if staged else 'Original'} | Fine-tuned | Difference |",
        f"| --- |{' ---: |' if staged else ''} ---: | ---: | ---: |",
    ]
    for metric in card.after:
        against, after = card.baseline[metric], card.after[metric]
        stage = f" {against:.3f} |" if staged else ""
        lines.append(
            f"| {label(metric)} |{stage} {card.before[metric]:.3f} | {after:.3f} "
            f"| {after - against:+.3f} |"
        )
    if staged:
        lines += ["", f"The difference is that to {card.baseline_name}."]
    if card.verdict == "no-better":
        lines += ["", "No better than the original: use the original instead."]
    if card.verdict == "below-first-stage":
        lines += ["", "No better than the first stage: leave the candidates in its order."]
    return "\n".join(lines)


def _code(text: str) -> str:
    shown = text.replace("`", "'").replace("|", "\\|").replace("\n", "\\n")
    return f"`{shown}`" if text else "none"
