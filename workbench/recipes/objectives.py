"""Training objectives: what each is called, which rows and settings it takes, and its loss.

Torch-free: a loss is described, and computed in workers only. The same description is a run's loss
(``training/loss.py``) and the code of an exported script (``takeaway/losses.py``).

InfoNCE: van den Oord et al. 2018. GradCache: Gao et al. 2021. GISTEmbed: Solatorio 2024.
Distillation: Lin et al. 2020; MarginMSE, Hofstätter et al. 2020. Scored pairs: CoSENT, Su 2022
(https://kexue.fm/archives/8847); cosine, Reimers and Gurevych 2019. ListNet: Cao et al. 2007.
LambdaLoss: Wang et al. 2018.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from workbench.extensions import OneOf, Registry


@dataclass(frozen=True, slots=True)
class Named:
    """Something that only workers import: 'module:attribute'."""

    place: str


#: Among a loss's arguments: what the model's scores are multiplied by before a softmax, and its
#: inverse.
SCALE, TEMPERATURE = Named("SCALE"), Named("1.0 / SCALE")


@dataclass(frozen=True, slots=True)
class Loss:
    """A call of ``make``, a class of torch modules.

    ``over``: its first argument, 'model', 'vectors' (where vectors are given in the place of a
    model) or none. ``arguments`` by name: plain values, functions, other losses, ``Named`` ones.
    ``needs``: what else of its module ``make`` calls.
    """

    make: Named
    over: Literal["model", "vectors", ""] = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[Named, ...] = ()


#: The loss of a recipe; ``across``: other devices' documents are negatives, too.
LossOf = Callable[[Any, bool], Loss]


@dataclass(frozen=True, slots=True)
class Objective:
    """What a model is trained for.

    ``help``: for which data it is right. ``losses``: for each kind of model that offers it.
    ``fields``: the recipe's settings that it uses. ``rows``: what it learns from: queries with
    their documents, a teacher's scores of these, or scored pairs of texts.

    ``in_batch``: a row's document is told from those of the batch's other rows, too. ``cached``:
    the objective that computes the same in parts. ``compares_rows``: a batch of one row teaches
    nothing. ``by_value``: pairs' scores are learned themselves, not their order alone. A cross-
    encoder's: ``pointwise``, each pair is a row of its own; ``right``, a relevant document's label.
    """

    name: str
    label: str
    help: str
    losses: Mapping[str, LossOf]
    fields: tuple[str, ...] = ()
    rows: Literal["queries", "teacher", "pairs"] = "queries"
    in_batch: bool = False
    cached: str = ""
    compares_rows: bool = False
    by_value: bool = False
    pointwise: bool = False
    right: float = 1.0

    @property
    def guided(self) -> bool:
        """Whether another model says which negatives may be relevant."""
        return "guide_model" in self.fields

    @property
    def in_parts(self) -> bool:
        """Whether a batch is computed in parts (GradCache)."""
        return "mini_batch_size" in self.fields


def of_vectors(function: Callable[[Any, Any], Any]) -> LossOf:
    """The loss that a function computes: of a list of vectors (n, d), queries, positives, and one
    more for each negative, and of the rows' labels (n,) or (n, documents); it returns a scalar.
    Inner products of the vectors are the scores of search."""
    make = Named("workbench.training.objectives:FunctionLoss")
    return lambda _recipe, _across: Loss(make, arguments={"function": function})


_OURS = "workbench.training.objectives"
_VECTORS = "sentence_transformers.sentence_transformer.losses"
_RERANKER = "sentence_transformers.cross_encoder.losses"
_DOT = Named("sentence_transformers.util:dot_score")
_PAIRWISE = Named("sentence_transformers.util:pairwise_dot_score")


def _contrastive(recipe: Any, across: bool, *, cached: bool) -> Loss:
    if not recipe.in_batch_negatives:
        return Loss(Named(f"{_OURS}:OwnCandidates"), arguments={"scale": SCALE})
    options: dict[str, Any] = {"scale": SCALE, "similarity_fct": _DOT}
    if across:
        options["gather_across_devices"] = True
    if recipe.symmetric:
        options["directions"] = ("query_to_doc", "doc_to_query")
        options["partition_mode"] = "per_direction"
    name = "MultipleNegativesRankingLoss"
    if not cached:
        return Loss(Named(f"{_VECTORS}:{name}"), "vectors", options)
    options["mini_batch_size"] = recipe.mini_batch_size
    return Loss(Named(f"{_VECTORS}:Cached{name}"), "model", options)


def _guided(recipe: Any, across: bool, *, cached: bool) -> Loss:
    size = recipe.mini_batch_size if cached else 0
    options = {"scale": SCALE, "margin": recipe.guide_margin, "across": across, "size": size}
    make, without = Named(f"{_OURS}:GuidedContrast"), Named(f"{_OURS}:without")
    return Loss(make, arguments=options, needs=(without,))


def _plain(make: str, over: Literal["model", ""] = "") -> LossOf:
    return lambda _recipe, _across: Loss(Named(make), over)


def _pairwise(name: str, **arguments: Any) -> LossOf:
    """A loss over the score of each query with each of its documents."""
    given = {"similarity_fct": _PAIRWISE, **arguments}
    return lambda _recipe, _across: Loss(Named(f"{_VECTORS}:{name}"), "vectors", given)


def _list_net(recipe: Any, _across: bool) -> Loss:
    divide = Loss(Named(f"{_OURS}:Divide"), arguments={"by": recipe.temperature})
    return Loss(Named(f"{_RERANKER}:ListNetLoss"), "model", {"activation_fn": divide})


#: The teacher's scores come divided by its own temperature.
_TEMPERATURES = {"student_temperature": TEMPERATURE, "teacher_temperature": 1.0}
_IN_BATCH = ("temperature", "in_batch_negatives", "negatives_cross_device", "symmetric")
_GUIDED = ("temperature", "negatives_cross_device", "guide_model", "guide_margin")

#: Every objective, in the order of choices; extensions add to it.
OBJECTIVES = Registry(
    "training objective",
    [
        Objective(
            "bce",
            "binary cross-entropy",
            "A good start: each pair of query and document is judged on its own, which is stable.",
            {"reranker": _plain(f"{_RERANKER}:BinaryCrossEntropyLoss", "model")},
            pointwise=True,
        ),
        Objective(
            "contrastive",
            "contrastive",
            "For pairs and triplets: contrasts a query's relevant document with irrelevant ones.",
            {"embedding": partial(_contrastive, cached=False), "reranker": _list_net},
            fields=_IN_BATCH,
            in_batch=True,
            cached="cached-contrastive",
            # ListNet compares softmaxes: labels this far apart leave all the weight on the right
            # document, which makes it the cross-entropy over a query's own candidates.
            right=100.0,
        ),
        Objective(
            "cached-contrastive",
            "contrastive, cached",
            "For pairs and triplets when a large batch does not fit in memory; takes twice "
            "as long.",
            {"embedding": partial(_contrastive, cached=True)},
            fields=(*_IN_BATCH, "mini_batch_size"),
            in_batch=True,
        ),
        Objective(
            "gist",
            "GIST",
            "For pairs and triplets where other rows' documents may be relevant too: a "
            "guide model filters those out.",
            {"embedding": partial(_guided, cached=False)},
            fields=_GUIDED,
            in_batch=True,
            cached="cached-gist",
        ),
        Objective(
            "cached-gist",
            "GIST, cached",
            "Where other rows' documents may be relevant too and a large batch does not "
            "fit in memory.",
            {"embedding": partial(_guided, cached=True)},
            fields=(*_GUIDED, "mini_batch_size"),
            in_batch=True,
        ),
        Objective(
            "distill-kl",
            "distillation (KL divergence)",
            "For data with a teacher's scores: learns their distribution over a query's documents.",
            {"embedding": _pairwise("DistillKLDivLoss", **_TEMPERATURES)},
            fields=("temperature", "teacher_temperature"),
            rows="teacher",
        ),
        Objective(
            "margin-mse",
            "distillation (MarginMSE)",
            "For data with a teacher's scores: learns the score margins between relevant "
            "and irrelevant documents.",
            {"embedding": _pairwise("MarginMSELoss")},
            fields=("teacher_temperature",),
            rows="teacher",
        ),
        Objective(
            "listnet",
            "ListNet",
            "For queries with several irrelevant documents: learns the scores of all "
            "candidates together.",
            {"reranker": _plain(f"{_RERANKER}:ListNetLoss", "model")},
        ),
        Objective(
            "lambda",
            "LambdaLoss",
            "When the top of the list matters: weights each error by its cost in NDCG.",
            {"reranker": _plain(f"{_RERANKER}:LambdaLoss", "model")},
        ),
        Objective(
            "cosent",
            "scored pairs (CoSENT)",
            "For scored text pairs whose order matters more than the exact scores.",
            {"embedding": _pairwise("CoSENTLoss", scale=SCALE)},
            fields=("temperature",),
            rows="pairs",
            compares_rows=True,
        ),
        Objective(
            "cosine",
            "scored pairs (cosine similarity)",
            "For scored text pairs whose scores are similarities to reproduce.",
            {"embedding": _plain(f"{_OURS}:PairScore")},
            rows="pairs",
            by_value=True,
        ),
    ],
)


def names(kind: str) -> tuple[str, ...]:
    """The objectives of a kind of model."""
    return tuple(one.name for one in OBJECTIVES.all() if kind in one.losses)


def choice(kind: str) -> OneOf:
    """A recipe's choice among them."""
    return OneOf(partial(names, kind), OBJECTIVES.all)


def using(kind: str, field: str) -> tuple[str, Callable[[], tuple[str, ...]]]:
    """For ``depends_on``: the objectives of a kind that use a recipe's field."""
    return "objective", lambda: tuple(
        name for name in names(kind) if field in OBJECTIVES.get(name).fields
    )
