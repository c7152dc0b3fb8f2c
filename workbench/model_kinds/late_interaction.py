"""Late-interaction models (ColBERT): a vector per token."""

from workbench.model_kinds import ModelKind
from workbench.models.contract import Contract, has_token_head
from workbench.recipes.train_kinds import TrainLateInteractionRecipe

#: ColBERTv2's own lengths (Santhanam et al. 2022).
QUERY_LENGTH, DOCUMENT_LENGTH = 32, 220

_SNIPPET = """\
from sentence_transformers import MultiVectorEncoder

model = MultiVectorEncoder($where)
$load
def document_of(title, text):
    return title + $separator + text if title else text

model.max_seq_length = $query_max_len
queries = model.encode_query(["a question"], prompt=$query_prompt)
model.max_seq_length = $passage_max_len
texts = [document_of("a title", "a text"), document_of("", "another text")]
documents = model.encode_document(texts, prompt=$document_prompt)
scores = model.similarity(queries, documents)  # MaxSim: higher is better"""


def _made_from(contract: Contract, _llm: bool) -> Contract:
    """With a projection of each token."""
    return contract.model_copy(
        update={
            "normalize": True,
            "query_max_len": min(QUERY_LENGTH, contract.query_max_len),
            "passage_max_len": min(DOCUMENT_LENGTH, contract.passage_max_len),
        }
    )


KIND = ModelKind(
    name="late-interaction",
    label="late-interaction model",
    recipe=TrainLateInteractionRecipe,
    training="workbench.training.late_interaction:LateInteractionTraining",
    loaded="workbench.models.late_interaction:LoadedLateInteraction",
    assemble="workbench.models.assemble:late_interaction",
    library_class="MultiVectorEncoder",
    # The second is PyLate's name.
    written_by=("MultiVectorEncoder", "ColBERT"),
    is_checkpoint=lambda _folder, config: (config.get("architectures") or [""])[0] == "HF_ColBERT",
    held_by=has_token_head,
    made_from=_made_from,
    scores=True,
    token_vectors=True,
    scripted=True,
    tags="tags: [sentence-transformers, multi-vector, ColBERT, retrieval]",
    description="A late-interaction model (ColBERT): a vector of $dimensions numbers per "
    "token; a document's score is\nthe sum over the query's tokens of their best inner product.",
    snippet=_SNIPPET,
    order=30,
)
