"""The model's README: what it is, what training changed, and how to use it outside."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Any

from workbench.comparison import trained
from workbench.comparison.names import label
from workbench.comparison.table import LENGTHS, lengths, markdown_line
from workbench.comparison.trained import ORIGINAL
from workbench.evaluation.pairs import SPEARMAN
from workbench.models.contract import Contract
from workbench.takeaway.snippet import snippet


@dataclass(frozen=True, slots=True)
class Card:
    """All that the README says. ``before`` (the untrained model), ``baseline`` (what had to be
    beaten) and ``after`` are empty where nothing was measured."""

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
    rows: int
    steps: int
    best_step: int
    #: After how many tokens training cut texts.
    trained_at: Mapping[str, int]
    #: What was left out of the rankings, in sentences.
    excluded: tuple[str, ...]
    settings: Mapping[str, object]
    #: What ``train``'s JSON says of the test, of the looks on dev and of what was decided
    #: (:mod:`workbench.comparison.trained`).
    found: Mapping[str, Any] = field(default_factory=dict)


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
$decided
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
        "decided": _decided(card),
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
        return "\n".join([trained.unmeasured(card.found), *_forgotten(card)])
    staged = card.baseline_name != ORIGINAL
    first = f" {card.baseline_name[0].upper()}{card.baseline_name[1:]} |" if staged else ""
    # A base that is no model of this kind is worth nothing that could be measured.
    name = "" if not card.before else " Untrained |" if staged else " Original |"
    lines = [
        " ".join([*_how(card), *card.excluded, *lengths([card.contract.model_dump()])]),
        "",
        f"| Metric |{first}{name} Fine-tuned | Difference |",
        f"| --- |{' ---: |' * (bool(first) + bool(name))} ---: | ---: |",
    ]
    for metric in card.after:
        against, after = card.baseline[metric], card.after[metric]
        stage = f" {against:.3f} |" if staged else ""
        difference = f"{after - against:+.3f}"
        if trained.is_tested(card.found) and metric == card.found["metric"]:
            difference = trained.difference(card.found)
        before = f" {card.before[metric]:.3f} |" if card.before else ""
        lines.append(f"| {label(metric)} |{stage}{before} {after:.3f} | {difference} |")
    if staged:
        lines += ["", f"The difference is that to {card.baseline_name}."]
    if trained.is_tested(card.found):
        lines += ["", trained.verdict(card.found)]
    elif card.verdict == "no-better":
        lines += ["", "No better than the original: use the original instead."]
    elif card.verdict == "below-first-stage":
        lines += ["", "No better than the first stage: leave the candidates in its order."]
    return "\n".join([*lines, *_forgotten(card)])


def _forgotten(card: Card) -> list[str]:
    """What the model is worth on the general data set; nothing where that was not measured."""
    heads, rows = trained.forgetting_table(card.found)
    if not rows:
        return []
    rule = markdown_line(["---", "---:", "---:"])
    said = filter(None, [trained.forgotten(card.found), trained.smaller_share(card.found)])
    return ["", " ".join(said), "", markdown_line(heads), rule, *map(markdown_line, rows)]


def _how(card: Card) -> list[str]:
    """On what it was measured, and how far the values can be trusted, in sentences."""
    if trained.is_tested(card.found):
        asked, most = trained.asked(card.found), card.dev_documents
        return [f"On {asked} over up to {most:,} documents.", trained.estimate(card.found)]
    where = f"{card.dev_queries} dev queries over {card.dev_documents:,} documents"
    if SPEARMAN in card.after:
        where = f"{card.dev_queries:,} scored pairs of dev (correlation with their scores)"
    chosen = trained.of_looks(card.found) or (
        "The best checkpoint was chosen by these, so compare on the test split before you decide."
    )
    return [f"On {where}.", chosen]


def _decided(card: Card) -> str:
    """The run's decisions as a section; nothing where there are none."""
    rows = [one.cells for one in trained.decided(card.found)]
    if not rows:
        return ""
    rule = markdown_line(["---"] * len(trained.HEADS))
    lines = [markdown_line(list(trained.HEADS)), rule, *map(markdown_line, rows)]
    return "\n## Decided in training\n\n" + "\n".join(lines) + "\n"


def _code(text: str) -> str:
    shown = text.replace("`", "'").replace("|", "\\|").replace("\n", "\\n")
    return f"`{shown}`" if text else "none"
