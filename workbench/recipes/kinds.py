"""The recipes that train, by the name that ``--kind`` and the contract give the kind of model."""

from collections.abc import Iterator, Mapping

from workbench.model_kinds import MODEL_KINDS
from workbench.recipes.train import TrainRecipe


class _Recipes(Mapping[str, type[TrainRecipe]]):
    """Read anew at each look: kinds may be added."""

    def __getitem__(self, kind: str) -> type[TrainRecipe]:
        if kind not in MODEL_KINDS:
            raise KeyError(kind)
        recipe: type[TrainRecipe] = MODEL_KINDS.get(kind).recipe
        return recipe

    def __iter__(self) -> Iterator[str]:
        return iter(MODEL_KINDS.names())

    def __len__(self) -> int:
        return len(MODEL_KINDS.names())


#: Kind -> recipe; the first is what ``train`` takes when nothing is said.
KINDS = _Recipes()
