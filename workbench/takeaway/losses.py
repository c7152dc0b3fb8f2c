"""A recipe's objective as code, as training/loss.py and training/reranker.py make it."""

import inspect
import re
from dataclasses import dataclass, field
from typing import Any

from workbench.models.contract import Contract
from workbench.takeaway import pieces
from workbench.training import objectives
from workbench.training.loss import CACHED, lengths
from workbench.training.scale import scale_of

_EMBEDDING = "from sentence_transformers.sentence_transformer import losses"
_RERANKER = "from sentence_transformers.cross_encoder import losses"
#: What the objectives of training/objectives.py use, by where it comes from.
_USED = {
    "collections.abc": ("Iterator", "Sequence"),
    "typing": ("Any",),
    "sentence_transformers.base.losses.gradcache": ("CachedLossMixin",),
    "sentence_transformers.base.losses.merged_forward": ("embed_columns",),
    "sentence_transformers.multi_vector_encoder.scoring": ("colbert_scores",),
    "sentence_transformers.util": (
        "all_gather_with_grad",
        "batch_to_device",
        "dot_score",
        "get_rank",
        "pairwise_dot_score",
    ),
    "torch.nn.functional": ("cross_entropy", "mse_loss", "normalize"),
}


@dataclass(frozen=True, slots=True)
class Loss:
    """``make`` is an expression over ``model``; ``code`` the classes that it needs."""

    make: str
    imports: tuple[str, ...] = ()
    constants: dict[str, Any] = field(default_factory=dict)
    code: str = ""


@dataclass(frozen=True, slots=True)
class GuideAs:
    """GIST's guide: where it lies (empty: it is the base model), and how it compares."""

    place: str
    contract: Contract


def loss_of(
    recipe: Any, contract: Contract, guide: GuideAs | None, *, across: bool = False
) -> Loss:
    """The objective of any kind.

    ``across``: the documents of other devices' batches are negatives, too.
    """
    gather = ", gather_across_devices=True" if across else ""
    if recipe.model_kind.reads_pairs:
        return _reranker(recipe)
    if recipe.model_kind.token_vectors:
        name = "MultiVectorMultipleNegativesRankingLoss"
        return _with_code(
            f"{name}(model, scale=SCALE, similarity_fct=max_sim{gather})",
            {"SCALE": 1.0 / recipe.temperature},
            (objectives.max_sim,),
            f"from sentence_transformers.multi_vector_encoder.losses import {name}",
        )
    return _embedding(recipe, contract, guide, across=across)


def _embedding(recipe: Any, contract: Contract, guide: GuideAs | None, *, across: bool) -> Loss:
    cached = recipe.objective in CACHED and recipe.in_batch
    constants: dict[str, Any] = {
        "SCALE": scale_of(recipe, contract),
        "BY_COSINE": contract.normalize,
    }
    make, classes = _objective(recipe, across=across)
    options = "by_cosine=BY_COSINE"
    dimensions = lengths(recipe, contract.dimensions)
    if dimensions:
        options += f", dimensions={dimensions}"
    if cached:
        options += f", mini_batch_size={recipe.mini_batch_size}"
    outer: list[Any] = [objectives.VectorLoss, *[objectives.CachedVectorLoss] * cached]
    imports = [_EMBEDDING] if make.startswith("losses.") else []
    classes = (*[objectives.PassThrough] * ("PassThrough()" in make), *classes)
    if guide is not None:
        options += f", guide={_guide(guide, contract, constants)}"
        outer.append(objectives.Guide)
        if guide.place:
            imports.append("from sentence_transformers import SentenceTransformer")
    return _with_code(
        f"{outer[1 if cached else 0].__name__}(model, {make}, {options})",
        constants,
        (*outer, *classes),
        *imports,
    )


def _guide(guide: GuideAs, contract: Contract, constants: dict[str, Any]) -> str:
    encoder = "load_model()"
    if guide.place:
        constants["GUIDE"] = guide.place
        encoder = "SentenceTransformer(GUIDE, device=DEVICE)"
    found = f"Guide({encoder}, model.tokenizer, by_cosine={guide.contract.normalize}"
    prompts = (guide.contract.query_prompt, guide.contract.document_prompt)
    if prompts != (contract.query_prompt, contract.document_prompt):
        found += f", prompts={prompts!r}"
    return found + ")"


def _objective(recipe: Any, *, across: bool) -> tuple[str, tuple[Any, ...]]:
    """An expression, and what of training/objectives.py it needs."""
    name = recipe.objective
    if name in ("contrastive", "cached-contrastive"):
        if not recipe.in_batch_negatives:
            return "OwnCandidates(scale=SCALE)", (objectives.OwnCandidates,)
        return _contrastive(recipe, across=across), ()
    if name in ("gist", "cached-gist"):
        size = recipe.mini_batch_size if name in CACHED else 0
        options = f"scale=SCALE, margin={recipe.guide_margin}, across={across}, size={size}"
        return f"GuidedContrast({options})", (objectives.GuidedContrast, objectives.without)
    pairs = "similarity_fct=pairwise_dot_score"
    if name == "distill-kl":
        # rows.jsonl has the teacher's scores divided by its own temperature.
        temperatures = "student_temperature=1.0 / SCALE, teacher_temperature=1.0"
        return f"losses.DistillKLDivLoss(PassThrough(), {pairs}, {temperatures})", ()
    if name == "margin-mse":
        return f"losses.MarginMSELoss(PassThrough(), {pairs})", ()
    if name == "cosent":
        return f"losses.CoSENTLoss(PassThrough(), scale=SCALE, {pairs})", ()
    return "PairScore()", (objectives.PairScore,)


def _contrastive(recipe: Any, *, across: bool) -> str:
    options = "scale=SCALE, similarity_fct=dot_score"
    if across:
        options += ", gather_across_devices=True"
    if recipe.symmetric:
        options += ', directions=("query_to_doc", "doc_to_query")'
        options += ', partition_mode="per_direction"'
    if recipe.objective not in CACHED:
        return f"losses.MultipleNegativesRankingLoss(PassThrough(), {options})"
    options += f", mini_batch_size={recipe.mini_batch_size}"
    return f"losses.CachedMultipleNegativesRankingLoss(model, {options})"


def _with_code(
    make: str, constants: dict[str, Any], needed: tuple[Any, ...], *imports: str
) -> Loss:
    """A loss with the source of what it needs, and that source's imports."""
    sources = [re.sub(r"  # noqa.*", "", inspect.getsource(one)).strip() for one in needed]
    code = "\n\n\n".join(sources)
    if re.search(r"\bVectors\b", code):
        code = f"Vectors = Sequence[torch.Tensor]\n\n\n{code}"
    used = [
        f"from {module} import {name}"
        for module, names in _USED.items()
        for name in names
        if re.search(rf"\b{name}\b", f"{code} {make}")
    ]
    return Loss(make, (*imports, *used), constants, f"\n{code}\n\n")


def _reranker(recipe: Any) -> Loss:
    if recipe.objective == "bce":
        return Loss("losses.BinaryCrossEntropyLoss(model)", (_RERANKER,))
    if recipe.objective == "lambda":
        return Loss("losses.LambdaLoss(model)", (_RERANKER,))
    if recipe.objective == "contrastive":
        make = "losses.ListNetLoss(model, activation_fn=Divide())"
        return Loss(make, (_RERANKER,), {"TEMPERATURE": recipe.temperature}, pieces.DIVIDE)
    return Loss("losses.ListNetLoss(model)", (_RERANKER,))
