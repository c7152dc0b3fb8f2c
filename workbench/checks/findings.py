"""What is better mended before a run: each warning with its mend."""

from collections.abc import Iterator
from dataclasses import dataclass

from workbench.checks.report import Lengths, Memory, Warning_
from workbench.models.contract import Contract
from workbench.models.resolve import CatalogueModel
from workbench.recipes.train import TrainRecipe
from workbench.training.prepare import early_stopping, idle

#: Fewer dev queries than this cannot tell a better model from luck.
ENOUGH_QUERIES = 50
#: More than this share of cut texts is worth a word.
MUCH_CUT = 0.2


@dataclass(frozen=True, slots=True)
class Facts:
    """What the warnings are drawn from."""

    recipe: TrainRecipe
    rows: int
    #: For each row, how many negatives the data gives (at most those asked for).
    given: list[int]
    lengths: list[Lengths]
    positions: int | None
    contract: Contract
    #: The model's entry in the catalogue.
    listed: CatalogueModel | None
    dev_queries: int
    #: The data brings a teacher's scores.
    scored: bool
    gpu: bool
    memory: Memory | None
    available: int | None
    #: How many devices would train together.
    devices: int = 1
    #: How often the run is measured on dev while it trains.
    looks: int = 0
    #: The run itself decides how many negatives it takes.
    ruled: bool = False


def findings(facts: Facts) -> list[Warning_]:
    """All warnings, those about the data first."""
    rules = (
        _negatives, _batch, _dev, _scores, _precision, _prompts, _lengths, _longer, _positions,
        _idle, _memory,
    )  # fmt: skip
    return [warning for rule in rules for warning in rule(facts)]


def _negatives(facts: Facts) -> Iterator[Warning_]:
    """Rerankers find missing negatives themselves, and scored pairs need none."""
    asked = int(getattr(facts.recipe, "negatives", 0))
    if facts.recipe.model_kind.reads_pairs:
        return
    alone = not getattr(facts.recipe, "in_batch_negatives", True)
    most = max(facts.given, default=0)
    if alone and min(asked, most) == 0:
        yield Warning_(
            "nothing-to-tell-from",
            "Without in-batch negatives and without given ones there is nothing to learn from.",
            "Switch in_batch_negatives on, or import data with negatives and set 'negatives'.",
        )
    few = sum(count < asked for count in facts.given)
    # Rows without are no fault of a run that takes what there is, and learns from its batch.
    if few and (alone or not facts.ruled):
        yield Warning_(
            "few-negatives",
            f"{few:,} of {facts.rows:,} rows have fewer than the requested {asked} negatives (at "
            f"most {most}).",
            f"Set negatives to {most}, or add more to the data.",
        )


def _batch(facts: Facts) -> Iterator[Warning_]:
    if facts.recipe.batch_size > facts.rows:
        yield Warning_(
            "batch-too-large",
            f"The batch of {facts.recipe.batch_size} is larger than the {facts.rows:,} rows.",
            f"Set batch_size to {facts.rows} or less.",
        )


def _dev(facts: Facts) -> Iterator[Warning_]:
    if facts.dev_queries == 0:
        yield Warning_(
            "no-dev-queries",
            "The data set has no dev queries, so nothing is measured during training.",
            "Import it again with a dev file, or with dev_share above 0.",
        )
    elif facts.dev_queries < ENOUGH_QUERIES:
        yield Warning_(
            "few-dev-queries",
            f"{facts.dev_queries} dev queries are too few to judge by.",
            f"{ENOUGH_QUERIES} or more can tell a better model from chance.",
        )


def _scores(facts: Facts) -> Iterator[Warning_]:
    objective = facts.recipe.chosen_objective
    if objective.rows == "teacher" and not facts.scored:
        yield Warning_(
            "no-scores",
            f"The objective {objective.name} learns a teacher's scores, and the data has none.",
            "Add pos_scores and neg_scores to the data, or choose 'contrastive'.",
        )


def _precision(facts: Facts) -> Iterator[Warning_]:
    if facts.recipe.precision == "fp16" and not facts.gpu:
        yield Warning_(
            "fp16-without-gpu",
            "fp16 is for GPUs, and this run has none.",
            "Set precision to auto: bf16 where the processor is fast at it, else fp32.",
        )


def _prompts(facts: Facts) -> Iterator[Warning_]:
    if facts.listed is None or facts.listed.kind != facts.recipe.kind:
        return
    for name in ("query_prompt", "document_prompt"):
        wanted = facts.listed.contract.get(name)
        if wanted and not getattr(facts.contract, name):
            yield Warning_(
                "prompt-missing",
                f"{facts.listed.id} was made with a {name.replace('_', ' ')}, and there is none.",
                f"Set {name} to {wanted!r}.",
            )


def _longer(facts: Facts) -> Iterator[Warning_]:
    """What a fresh head makes of an encoder has lengths of its own; those are not known yet."""
    if facts.contract.kind != facts.recipe.kind:
        return
    for name in ("query_max_len", "passage_max_len"):
        used, asked = getattr(facts.contract, name), getattr(facts.recipe, name)
        trained = min(asked, facts.positions or asked)
        if trained > used:
            yield Warning_(
                "longer-than-used",
                f"{name} is {trained}, and the model is measured and used at its base's {used}.",
                f"After training, set {name}={trained} with 'models set', if longer texts help.",
            )


def _lengths(facts: Facts) -> Iterator[Warning_]:
    for one in facts.lengths:
        if one.cut <= MUCH_CUT:
            continue
        field = "query_max_len" if one.role == "query" else "passage_max_len"
        enough = min(-(-one.p95 // 32) * 32, facts.positions or one.p95 + 32)
        mend = f"Set {field} to {enough}: 95% then fit." if enough > one.limit else ""
        yield Warning_(
            "texts-cut",
            f"{one.cut:.0%} of the texts ({one.role}) are truncated at {one.limit} tokens.",
            mend or "The model reads no more; split long documents before importing them.",
        )


def _positions(facts: Facts) -> Iterator[Warning_]:
    for name in ("query_max_len", "passage_max_len"):
        asked = getattr(facts.recipe, name)
        if facts.positions and asked > facts.positions:
            yield Warning_(
                "beyond-the-model",
                f"{name} is {asked}, but the model reads {facts.positions} tokens.",
                f"Set {name} to {facts.positions}.",
            )


def _idle(facts: Facts) -> Iterator[Warning_]:
    stops = early_stopping(facts.recipe, facts.looks)
    for one in [*idle(facts.recipe, facts.devices), *stops]:
        yield Warning_("no-effect", one.message, one.mend)


def _memory(facts: Facts) -> Iterator[Warning_]:
    if facts.memory is None or facts.available is None:
        return
    if facts.memory.total > facts.available:
        yield Warning_(
            "memory",
            f"About {facts.memory.total / 1e9:.1f} GB are needed (an estimate), and "
            f"{facts.available / 1e9:.1f} GB are free.",
            _smaller(facts),
        )


def _smaller(facts: Facts) -> str:
    """What saves the most, first."""
    recipe, memory = facts.recipe, facts.memory
    mends = []
    if memory and memory.activations * 2 > memory.total:
        half = max(recipe.batch_size // 2, 1)
        mends.append(
            f"batch_size {half} with gradient_accumulation {recipe.gradient_accumulation * 2}"
        )
        if not recipe.gradient_checkpointing:
            mends.append("gradient_checkpointing")
    if recipe.method == "full":
        mends.append("method lora")
    elif recipe.method == "lora" and recipe.quantizable:
        mends.append("method qlora")
    mends.append("shorter texts")
    return f"Try {', or '.join(mends)}."
