"""Models of pictures and texts (CLIP): one vector of either."""

from workbench.model_kinds import ModelKind
from workbench.models.architecture import TWO_TOWERS
from workbench.models.contract import Contract
from workbench.recipes.train_kinds import TrainImageTextRecipe

_SNIPPET = """\
from PIL import Image, ImageOps
from sentence_transformers import SentenceTransformer

model = SentenceTransformer($where)
$load
pictures = [ImageOps.exif_transpose(Image.open("a-picture.jpg")).convert("RGB")]
queries = model.encode(["a caption"], prompt=$query_prompt, normalize_embeddings=$normalize)
documents = model.encode(pictures, normalize_embeddings=$normalize)
scores = queries @ documents.T  # higher is better"""


def _made_from(contract: Contract, _llm: bool) -> Contract:
    """Read as two towers."""
    return contract.model_copy(update={"pooling": "other", "causal": False})


KIND = ModelKind(
    name="image-text",
    label="image-text model",
    recipe=TrainImageTextRecipe,
    training="workbench.training.image_text:ImageTextTraining",
    loaded="workbench.models.image_text:LoadedImageText",
    assemble="workbench.models.assemble:image_text",
    library_class="SentenceTransformer",
    is_checkpoint=lambda _folder, config: config.get("model_type") in TWO_TOWERS,
    made_from=_made_from,
    encodes=True,
    reads_pictures=True,
    tags="pipeline_tag: zero-shot-image-classification\n"
    "tags: [sentence-transformers, CLIP, image-text, retrieval]",
    description="A model of pictures and texts (CLIP): it maps both to vectors of $dimensions "
    "numbers, whose inner\nproduct says how well a text fits a picture.",
    snippet=_SNIPPET,
    order=40,
)
