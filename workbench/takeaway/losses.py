"""A recipe's objective as code, as training/loss.py and training/reranker.py make it."""

from dataclasses import dataclass, field
from typing import Any

from workbench.models.contract import Contract
from workbench.takeaway import pieces

_EMBEDDING = "from sentence_transformers.sentence_transformer import losses"
_RERANKER = "from sentence_transformers.cross_encoder import losses"


@dataclass(frozen=True, slots=True)
class Loss:
    """``make`` is an expression over ``model``; ``code`` a class that it needs."""

    make: str
    imports: tuple[str, ...] = ()
    constants: dict[str, Any] = field(default_factory=dict)
    code: str = ""


def loss_of(recipe: Any, contract: Contract, guide: str, *, across: bool = False) -> Loss:
    """The objective of any kind; ``guide`` is where GIST's guide model lies.

    ``across``: the documents of other devices' batches are negatives, too.
    """
    gather = ", gather_across_devices=True" if across else ""
    if recipe.kind == "reranker":
        return _reranker(recipe)
    if recipe.kind == "late-interaction":
        name = "MultiVectorMultipleNegativesRankingLoss"
        return Loss(
            f"{name}(model, scale=SCALE{gather})",
            (f"from sentence_transformers.multi_vector_encoder.losses import {name}",),
            {"SCALE": 1.0 / recipe.temperature},
        )
    found = _embedding(recipe, contract, guide, gather)
    dimensions = [int(part) for part in recipe.matryoshka_dims.split(",") if part.strip()]
    if not dimensions:
        return found
    every = sorted({contract.dimensions, *dimensions}, reverse=True)
    make = f"losses.MatryoshkaLoss(model, {found.make}, matryoshka_dims={every})"
    return Loss(make, (_EMBEDDING, *found.imports), found.constants, found.code)


def _embedding(recipe: Any, contract: Contract, guide: str, gather: str) -> Loss:
    name = recipe.objective
    scale = {"SCALE": 1.0 / recipe.temperature if contract.normalize else 1.0}
    if name in ("contrastive", "cached-contrastive"):
        if not recipe.in_batch_negatives:
            constants = {**scale, "NORMALIZE": contract.normalize}
            return Loss("OwnCandidates(model)", (), constants, pieces.OWN_CANDIDATES)
        return _contrastive(recipe, contract, scale, gather)
    if name in ("gist", "cached-gist"):
        cached = name == "cached-gist"
        options = "temperature=TEMPERATURE"
        options += f", mini_batch_size={recipe.mini_batch_size}" if cached else ""
        options += gather
        loss = "CachedGISTEmbedLoss" if cached else "GISTEmbedLoss"
        return Loss(
            f"losses.{loss}(model, SentenceTransformer(GUIDE, device=DEVICE), {options})",
            (_EMBEDDING, "from sentence_transformers import SentenceTransformer"),
            {"TEMPERATURE": recipe.temperature, "GUIDE": guide},
        )
    if name == "distill-kl":
        return Loss("losses.DistillKLDivLoss(model, temperature=1.0)", (_EMBEDDING,))
    if name == "cosent":
        return Loss("losses.CoSENTLoss(model)", (_EMBEDDING,))
    if name == "cosine":
        return Loss("losses.CosineSimilarityLoss(model)", (_EMBEDDING,))
    return Loss("losses.MarginMSELoss(model)", (_EMBEDDING,))


def _contrastive(recipe: Any, contract: Contract, scale: dict[str, Any], gather: str) -> Loss:
    cached = recipe.objective == "cached-contrastive"
    options = "scale=SCALE" + gather
    imports = [_EMBEDDING]
    if not contract.normalize:
        options += ", similarity_fct=dot_score"
        imports.append("from sentence_transformers.util import dot_score")
    if cached:
        options += f", mini_batch_size={recipe.mini_batch_size}"
    if recipe.symmetric:
        options += ', directions=("query_to_doc", "doc_to_query")'
        options += ', partition_mode="per_direction"'
    loss = ("Cached" if cached else "") + "MultipleNegativesRankingLoss"
    return Loss(f"losses.{loss}(model, {options})", tuple(imports), scale)


def _reranker(recipe: Any) -> Loss:
    if recipe.objective == "bce":
        return Loss("losses.BinaryCrossEntropyLoss(model)", (_RERANKER,))
    if recipe.objective == "lambda":
        return Loss("losses.LambdaLoss(model)", (_RERANKER,))
    if recipe.objective == "contrastive":
        make = "losses.ListNetLoss(model, activation_fn=Divide())"
        return Loss(make, (_RERANKER,), {"TEMPERATURE": recipe.temperature}, pieces.DIVIDE)
    return Loss("losses.ListNetLoss(model)", (_RERANKER,))
