"""The contrastive loss: each query shall find its document among all documents of its batch."""

from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from sentence_transformers.util import dot_score

from workbench.models.contract import Contract


def contrastive_loss(
    model: SentenceTransformer, contract: Contract, temperature: float
) -> MultipleNegativesRankingLoss:
    """InfoNCE over in-batch and given negatives (van den Oord et al. 2018).

    Scores are what the contract searches by: cosines, divided by the temperature; or plain inner
    products for a model whose vectors keep their length, which are large as they are.
    """
    if contract.normalize:
        return MultipleNegativesRankingLoss(model, scale=1.0 / temperature)
    return MultipleNegativesRankingLoss(model, scale=1.0, similarity_fct=dot_score)
