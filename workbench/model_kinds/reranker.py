"""Rerankers: a score for a query and a document that are read together."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workbench.errors import ModelUnusable
from workbench.model_kinds import ModelKind
from workbench.models.architecture import PLAIN_LENGTH
from workbench.models.contract import Contract
from workbench.models.inspect import is_language_model
from workbench.recipes.train_kinds import TrainRerankerRecipe

#: A query rarely needs more; the rest of what the model can read is for the document.
QUERY_LENGTH = 64

_SNIPPET = """\
import torch
from sentence_transformers import CrossEncoder

model = CrossEncoder($where, activation_fn=torch.nn.Identity())
model.max_seq_length = $both  # a query and a document together
$load
def document_of(title, text):
    return title + $separator + text if title else text

pairs = [("a question", document_of("a title", "a text")), ("a question", "another text")]
scores = model.predict(pairs)  # higher is better"""


def _made_from(contract: Contract, llm: bool) -> Contract:
    """With a score head on it, or (``llm``) asked for one of two answers."""
    most = min(contract.passage_max_len, PLAIN_LENGTH)
    query = min(QUERY_LENGTH, most // 2)
    return contract.model_copy(
        update={
            "architecture": "llm" if llm else "cross-encoder",
            "query_max_len": query,
            "passage_max_len": most - query,
            "normalize": False,
            "dimensions": 0,
        }
    )


def _is_checkpoint(folder: Path, config: Mapping[str, Any]) -> bool:
    """Whether it is a classifier; raises :class:`ModelUnusable` for one of several classes."""
    architecture = str((config.get("architectures") or [""])[0])
    if not architecture.endswith("ForSequenceClassification"):
        return False
    labels = config.get("id2label") or {"0": "", "1": ""}
    if len(labels) != 1:
        raise ModelUnusable(
            f"{folder} holds a classifier with {len(labels)} classes, not a reranker, which gives "
            "one score.",
            "Take the model it was made from, and train a reranker on it.",
        )
    return True


KIND = ModelKind(
    name="reranker",
    label="reranker",
    recipe=TrainRerankerRecipe,
    training="workbench.training.reranker:RerankerTraining",
    loaded="workbench.models.load:LoadedReranker",
    assemble="workbench.models.assemble:reranker",
    library_class="CrossEncoder",
    written_by=("CrossEncoder",),
    is_checkpoint=_is_checkpoint,
    held_by=is_language_model,
    made_from=_made_from,
    scores=True,
    reads_pairs=True,
    scripted=True,
    tags="pipeline_tag: text-ranking\ntags: [sentence-transformers, cross-encoder, reranker]",
    description="A reranker: it reads a query and a document together and gives a score, higher "
    "where the document\nanswers the query. Use it on the candidates that a first stage finds.",
    snippet=_SNIPPET,
    order=20,
)
