"""Embedding models: one vector per text."""

from typing import Any

from workbench.model_kinds import ModelKind
from workbench.models.contract import has_token_head
from workbench.models.inspect import is_language_model
from workbench.recipes.train import TrainEmbeddingRecipe

_SNIPPET = """\
from sentence_transformers import SentenceTransformer

model = SentenceTransformer($where)  # pooling: $pooling
$load
def document_of(title, text):
    return title + $separator + text if title else text

model.max_seq_length = $query_max_len
queries = model.encode(["a question"], prompt=$query_prompt, normalize_embeddings=$normalize)
model.max_seq_length = $passage_max_len
texts = [document_of("a title", "a text"), document_of("", "another text")]
documents = model.encode(texts, prompt=$document_prompt, normalize_embeddings=$normalize)
scores = queries @ documents.T  # higher is better"""


def _made_from(contract: Any, _llm: bool) -> Any:
    """An encoder's folder is read as an embedding model's."""
    return contract


KIND = ModelKind(
    name="embedding",
    label="embedding model",
    recipe=TrainEmbeddingRecipe,
    training="workbench.training.embedding:EmbeddingTraining",
    loaded="workbench.models.load:LoadedEmbedding",
    assemble="workbench.models.assemble:embedding",
    library_class="SentenceTransformer",
    # Old folders do not say.
    written_by=("", "SentenceTransformer"),
    is_checkpoint=lambda _folder, _config: True,
    held_by=lambda folder: has_token_head(folder) or is_language_model(folder),
    made_from=_made_from,
    encodes=True,
    pools=True,
    scripted=True,
    tags="pipeline_tag: sentence-similarity\n"
    "tags: [sentence-transformers, feature-extraction, retrieval]",
    description="An embedding model for retrieval: it maps queries and documents to vectors of "
    "$dimensions numbers\nwhose inner product says how well they fit.",
    snippet=_SNIPPET,
    order=10,
)
