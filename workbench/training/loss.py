"""The losses of embedding models, all sentence-transformers' own.

InfoNCE: van den Oord et al. 2018. GradCache: Gao et al. 2021. GISTEmbed: Solatorio 2024.
Matryoshka: Kusupati et al. 2022. Distillation: MarginMSE, Hofstätter et al. 2020. Scored pairs:
CoSENT, Su 2022 (https://kexue.fm/archives/8847); cosine, Reimers and Gurevych 2019.
"""

from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import losses
from sentence_transformers.util import dot_score

from workbench.errors import BadInput
from workbench.models.contract import Contract
from workbench.recipes.train import TrainEmbeddingRecipe


def embedding_loss(
    model: SentenceTransformer,
    contract: Contract,
    recipe: TrainEmbeddingRecipe,
    guide: Any = None,
    *,
    across: bool = False,
) -> torch.nn.Module:
    """The recipe's objective over ``model``, with shorter vectors trained along where wanted.

    ``across``: the documents of other devices' batches are negatives, too.

    Scores are what the contract searches by: cosines, divided by the temperature; or plain inner
    products for a model whose vectors keep their length, which are large as they are. Raises
    :class:`BadInput` for Matryoshka dimensions that the model does not have.
    """
    loss = _objective(model, contract, recipe, guide, across)
    dimensions = [int(part) for part in recipe.matryoshka_dims.split(",") if part.strip()]
    if not dimensions:
        return loss
    whole = model.get_embedding_dimension() or 0
    if max(dimensions) > whole or min(dimensions) < 1:
        raise BadInput(
            f"The model's vectors have {whole} dimensions; {max(dimensions)} were asked for.",
            f"Give matryoshka_dims between 1 and {whole}.",
        )
    every = sorted({whole, *dimensions}, reverse=True)
    return losses.MatryoshkaLoss(model, loss, matryoshka_dims=every)


def _objective(
    model: SentenceTransformer,
    contract: Contract,
    recipe: TrainEmbeddingRecipe,
    guide: Any,
    across: bool,
) -> torch.nn.Module:
    scale: dict[str, Any] = {"scale": 1.0 / recipe.temperature}
    if not contract.normalize:
        scale = {"scale": 1.0, "similarity_fct": dot_score}
    name = recipe.objective
    if name in ("contrastive", "cached-contrastive"):
        if not recipe.in_batch_negatives:
            return OwnCandidatesLoss(model, contract, recipe.temperature)
        both: dict[str, Any] = {}
        if recipe.symmetric:
            ways = ("query_to_doc", "doc_to_query")
            both = {"directions": ways, "partition_mode": "per_direction"}
        both["gather_across_devices"] = across
        if name == "contrastive":
            return losses.MultipleNegativesRankingLoss(model, **scale, **both)
        return losses.CachedMultipleNegativesRankingLoss(
            model, mini_batch_size=recipe.mini_batch_size, **scale, **both
        )
    if name == "gist":
        return losses.GISTEmbedLoss(
            model, guide, temperature=recipe.temperature, gather_across_devices=across
        )
    if name == "cached-gist":
        return losses.CachedGISTEmbedLoss(
            model,
            guide,
            temperature=recipe.temperature,
            mini_batch_size=recipe.mini_batch_size,
            gather_across_devices=across,
        )
    if name == "distill-kl":
        return losses.DistillKLDivLoss(model, temperature=1.0)
    if name == "cosent":
        return losses.CoSENTLoss(model)
    if name == "cosine":
        return losses.CosineSimilarityLoss(model)
    return losses.MarginMSELoss(model)


class OwnCandidatesLoss(torch.nn.Module):
    """Cross-entropy of a query's positive among its own candidates, without the batch's others
    (FlagEmbedding's ``use_inbatch_neg`` off)."""

    def __init__(self, model: SentenceTransformer, contract: Contract, temperature: float) -> None:
        super().__init__()
        self.model = model
        self.scale = 1.0 / temperature if contract.normalize else 1.0
        self.normalize = contract.normalize

    def forward(self, sentence_features: Any, labels: Any = None) -> torch.Tensor:  # noqa: ARG002
        """``sentence_features``: query, positive, negatives; each (batch, tokens) -> a scalar."""
        vectors = [self.model(features)["sentence_embedding"] for features in sentence_features]
        if self.normalize:
            vectors = [torch.nn.functional.normalize(one, dim=1) for one in vectors]
        if len(vectors) < 3:
            raise BadInput(
                "Without in-batch negatives each query needs negatives of its own.",
                "Raise negatives, give some in the data, or turn in_batch_negatives on.",
            )
        query, documents = vectors[0], torch.stack(vectors[1:], dim=1)
        scores = torch.einsum("bd,bcd->bc", query, documents) * self.scale
        right = torch.zeros(len(query), dtype=torch.long, device=scores.device)
        return torch.nn.functional.cross_entropy(scores, right)
