"""The kinds of model that can be trained, by the name ``--kind`` and the contract give them."""

from workbench.recipes.train import TrainEmbeddingRecipe, TrainRecipe
from workbench.recipes.train_image_text import TrainImageTextRecipe
from workbench.recipes.train_rerank import TrainLateInteractionRecipe, TrainRerankerRecipe

#: Kind -> recipe; the first is what ``train`` takes when nothing is said.
KINDS: dict[str, type[TrainRecipe]] = {
    recipe.kind: recipe
    for recipe in (
        TrainEmbeddingRecipe,
        TrainRerankerRecipe,
        TrainLateInteractionRecipe,
        TrainImageTextRecipe,
    )
}
