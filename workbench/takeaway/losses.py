"""A recipe's objective as code, as training/loss.py and training/reranker.py make it."""

import inspect
import re
from dataclasses import dataclass, field
from typing import Any

from workbench.models.contract import Contract
from workbench.recipes import objectives as objectives_of
from workbench.training import objectives
from workbench.training.loss import imported, lengths
from workbench.training.rows import scale_of

_EMBEDDING = "from sentence_transformers.sentence_transformer import losses"
_RERANKER = "from sentence_transformers.cross_encoder import losses"
#: What the objectives of training/objectives.py use, by where it comes from.
_USED = {
    "collections.abc": ("Iterator", "Sequence"),
    "typing": ("Any",),
    "sentence_transformers.base.losses.gradcache": ("CachedLossMixin",),
    "sentence_transformers.multi_vector_encoder.scoring": ("colbert_scores",),
    "sentence_transformers.util": (
        "all_gather_padded",
        "all_gather_with_grad",
        "batch_to_device",
        "dot_score",
        "get_rank",
        "pairwise_dot_score",
    ),
    "torch.nn.functional": ("cross_entropy", "mse_loss", "normalize"),
}


@dataclass(frozen=True, slots=True)
class Loss:
    """``make`` is an expression over ``model``; ``code`` the classes that it needs."""

    make: str
    imports: tuple[str, ...] = ()
    constants: dict[str, Any] = field(default_factory=dict)
    code: str = ""


@dataclass(frozen=True, slots=True)
class GuideAs:
    """GIST's guide: where it lies (empty: it is the base model), and how it compares."""

    place: str
    contract: Contract


def loss_of(
    recipe: Any, contract: Contract, guide: GuideAs | None, *, across: bool = False
) -> Loss:
    """The objective of any kind.

    ``across``: the documents of other devices' batches are negatives, too.
    """
    if recipe.model_kind.reads_pairs:
        return _reranker(recipe)
    if recipe.model_kind.token_vectors:
        gather = ", across=True" if across else ""
        return _with_code(
            f"TokenContrast(model, scale=SCALE{gather})",
            {"SCALE": 1.0 / recipe.temperature},
            (objectives.TokenContrast, objectives.max_sim),
        )
    return _embedding(recipe, contract, guide, across=across)


def _embedding(recipe: Any, contract: Contract, guide: GuideAs | None, *, across: bool) -> Loss:
    chosen = recipe.chosen_objective
    cached = chosen.in_parts and recipe.in_batch
    constants: dict[str, Any] = {
        "SCALE": scale_of(recipe, contract),
        "BY_COSINE": contract.normalize,
    }
    written = _written(recipe.loss(across))
    options = "by_cosine=BY_COSINE"
    dimensions = lengths(recipe, contract.dimensions)
    if dimensions:
        options += f", dimensions={dimensions}"
    if cached:
        options += f", mini_batch_size={recipe.mini_batch_size}"
    outer: list[Any] = [
        objectives.columns,
        objectives.VectorLoss,
        *[objectives.CachedVectorLoss] * cached,
    ]
    imports = [_EMBEDDING] if written.make.startswith("losses.") else []
    if guide is not None:
        options += f", guide={_guide(guide, contract, constants)}"
        outer.append(objectives.Guide)
        if guide.place:
            imports.append("from sentence_transformers import SentenceTransformer")
    return _with_code(
        f"{outer[2 if cached else 1].__name__}(model, {written.make}, {options})",
        constants,
        (*outer, *written.needed),
        *imports,
    )


def _guide(guide: GuideAs, contract: Contract, constants: dict[str, Any]) -> str:
    encoder = "load_model()"
    if guide.place:
        constants["GUIDE"] = guide.place
        encoder = "SentenceTransformer(GUIDE, device=DEVICE)"
    found = f"Guide({encoder}, model.tokenizer, by_cosine={guide.contract.normalize}"
    prompts = (guide.contract.query_prompt, guide.contract.document_prompt)
    if prompts != (contract.query_prompt, contract.document_prompt):
        found += f", prompts={prompts!r}"
    return found + ")"


@dataclass(frozen=True, slots=True)
class _Written:
    """A call as code, and the classes and functions whose source it needs."""

    make: str
    needed: tuple[Any, ...] = ()


def _written(loss: objectives_of.Loss) -> _Written:
    first = {"model": ["model"], "vectors": ["PassThrough()"], "": []}[loss.over]
    needed: list[Any] = [objectives.PassThrough] if loss.over == "vectors" else []
    module, _, name = loss.make.place.partition(":")
    if not module.startswith("sentence_transformers."):
        needed += [imported(one) for one in (loss.make, *loss.needs)]
    arguments = []
    for key, value in loss.arguments.items():
        argument = _argument(value)
        arguments.append(f"{key}={argument.make}")
        needed += argument.needed
    prefix = "losses." if module.startswith("sentence_transformers.") else ""
    return _Written(f"{prefix}{name}({', '.join([*first, *arguments])})", tuple(needed))


def _argument(value: Any) -> _Written:
    if isinstance(value, objectives_of.Loss):
        return _written(value)
    if isinstance(value, objectives_of.Named):
        module, _, name = value.place.rpartition(":")
        # What sentence-transformers has is imported: see _USED.
        ours = () if not module or module.startswith("sentence_transformers.") else (value,)
        return _Written(name, tuple(map(imported, ours)))
    if callable(value):
        return _Written(value.__name__, (value,))
    return _Written(repr(value))


def _with_code(
    make: str, constants: dict[str, Any], needed: tuple[Any, ...], *imports: str
) -> Loss:
    """A loss with the source of what it needs, and that source's imports."""
    sources = [re.sub(r"  # noqa.*", "", inspect.getsource(one)).strip() for one in needed]
    code = "\n\n\n".join(dict.fromkeys(sources))
    if re.search(r"\bVectors\b", code):
        code = f"Vectors = Sequence[torch.Tensor]\n\n\n{code}"
    used = [
        f"from {module} import {name}"
        for module, names in _USED.items()
        for name in names
        if re.search(rf"\b{name}\b", f"{code} {make}")
    ]
    return Loss(make, (*imports, *used), constants, f"\n{code}\n\n" if code else "")


def _reranker(recipe: Any) -> Loss:
    written = _written(recipe.loss())
    return _with_code(written.make, {}, written.needed, _RERANKER)
