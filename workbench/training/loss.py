"""The losses of embedding models: sentence-transformers' own, over vectors made ready for them.

InfoNCE: van den Oord et al. 2018. GradCache: Gao et al. 2021. GISTEmbed: Solatorio 2024.
Matryoshka: Kusupati et al. 2022. Distillation: Lin et al. 2020; MarginMSE, Hofstätter et al. 2020.
Scored pairs: CoSENT, Su 2022 (https://kexue.fm/archives/8847); cosine, Reimers and Gurevych 2019.
"""

from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.losses.gradcache import has_static_embedding_input
from sentence_transformers.sentence_transformer import losses
from sentence_transformers.util import dot_score, pairwise_dot_score

from workbench.errors import BadInput
from workbench.models.contract import Contract
from workbench.recipes.train import TrainEmbeddingRecipe
from workbench.training.objectives import (
    CachedVectorLoss,
    GuidedContrast,
    OwnCandidates,
    PairScore,
    Ready,
    VectorLoss,
)
from workbench.training.scale import scale_of

#: Objectives that compute the batch in parts.
CACHED = ("cached-contrastive", "cached-gist")


def embedding_loss(
    model: SentenceTransformer,
    contract: Contract,
    recipe: TrainEmbeddingRecipe,
    guide: Any = None,
    *,
    across: bool = False,
) -> torch.nn.Module:
    """The recipe's objective over ``model``, with shorter vectors trained along where wanted.

    ``across``: the documents of other devices' batches are negatives, too. ``guide``: GIST's.

    Scores are what the contract searches by, whatever the objective: cosines, or plain inner
    products for a model whose vectors keep their length. Raises :class:`BadInput` for Matryoshka
    dimensions that the model does not have.
    """
    options: dict[str, Any] = {
        "by_cosine": contract.normalize,
        "dimensions": lengths(recipe, model.get_embedding_dimension() or 0),
        "guide": guide,
    }
    made = _objective(model, contract, recipe, across)
    if recipe.objective not in CACHED or not recipe.in_batch:
        return VectorLoss(model, made, **options)
    if has_static_embedding_input(model):
        raise BadInput(
            "A model of static embeddings has nothing that is worth keeping in parts.",
            "Choose the objective without 'cached'.",
        )
    return CachedVectorLoss(model, made, mini_batch_size=recipe.mini_batch_size, **options)


def lengths(recipe: TrainEmbeddingRecipe, whole: int) -> list[int]:
    """The dimensions that are trained, the whole one first; none: whole vectors alone."""
    dimensions = [int(part) for part in recipe.matryoshka_dims.split(",") if part.strip()]
    if dimensions and (max(dimensions) > whole or min(dimensions) < 1):
        raise BadInput(
            f"The model's vectors have {whole} dimensions; {max(dimensions)} were asked for.",
            f"Give matryoshka_dims between 1 and {whole}.",
        )
    return sorted({whole, *dimensions}, reverse=True) if dimensions else []


def _objective(
    model: SentenceTransformer, contract: Contract, recipe: TrainEmbeddingRecipe, across: bool
) -> torch.nn.Module:
    """What is computed of vectors that are ready: their inner products are the scores."""
    scale, name = scale_of(recipe, contract), recipe.objective
    if name in ("contrastive", "cached-contrastive"):
        if not recipe.in_batch_negatives:
            return OwnCandidates(scale=scale)
        return _contrastive(model, recipe, scale, across)
    if name in ("gist", "cached-gist"):
        size = recipe.mini_batch_size if name in CACHED else 0
        return GuidedContrast(scale=scale, margin=recipe.guide_margin, across=across, size=size)
    if name == "distill-kl":
        # The teacher's scores come divided by its own temperature.
        return losses.DistillKLDivLoss(
            Ready(),
            similarity_fct=pairwise_dot_score,
            student_temperature=1.0 / scale,
            teacher_temperature=1.0,
        )
    if name == "margin-mse":
        return losses.MarginMSELoss(Ready(), similarity_fct=pairwise_dot_score)
    if name == "cosent":
        return losses.CoSENTLoss(Ready(), scale=scale, similarity_fct=pairwise_dot_score)
    return PairScore()


def _contrastive(
    model: SentenceTransformer, recipe: TrainEmbeddingRecipe, scale: float, across: bool
) -> torch.nn.Module:
    options: dict[str, Any] = {
        "scale": scale,
        "similarity_fct": dot_score,
        "gather_across_devices": across,
    }
    if recipe.symmetric:
        ways = ("query_to_doc", "doc_to_query")
        options |= {"directions": ways, "partition_mode": "per_direction"}
    if recipe.objective not in CACHED:
        return losses.MultipleNegativesRankingLoss(Ready(), **options)
    return losses.CachedMultipleNegativesRankingLoss(
        model, mini_batch_size=recipe.mini_batch_size, **options
    )
