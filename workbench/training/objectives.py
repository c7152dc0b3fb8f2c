"""Objectives over vectors: in fp32, outside autocast, by the scores that search gives.

The scripts of takeaway/ hold these classes as they stand here: they use nothing of the workbench.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from sentence_transformers.base.losses.gradcache import CachedLossMixin
from sentence_transformers.multi_vector_encoder.scoring import colbert_scores
from sentence_transformers.util import (
    all_gather_padded,
    all_gather_with_grad,
    batch_to_device,
    get_rank,
    pairwise_dot_score,
)
from torch.nn.functional import cross_entropy, mse_loss, normalize

Vectors = Sequence[torch.Tensor]


class PassThrough(torch.nn.Module):
    """Stands for the model where a loss gets vectors that are ready."""

    def forward(self, features: Any) -> Any:
        return features


def columns(queries: torch.Tensor, documents: torch.Tensor) -> list[torch.Tensor]:
    """The vectors of n queries and of their documents, as losses take them: queries, positives and
    negatives, n of each. Rows may have fewer negatives than others, or none: then the last column
    is shorter, and only losses for which every document is a negative of all other rows take it."""
    return [queries, *documents.split(len(queries))]


class VectorLoss(torch.nn.Module):
    """An objective over the vectors of a model, whose inner products are the scores of search.

    ``by_cosine`` scales vectors to length 1, as search does where the model's contract says so.
    ``dimensions``: shorter vectors that are trained along (Matryoshka), the whole ones among them;
    none trains whole ones alone. ``objective`` is a loss over the model ``PassThrough``; it gets
    vectors column by column: see :func:`columns`. ``guide`` gets the batch's features,
    and its vectors of them are the objective's labels.
    """

    def __init__(
        self,
        model: Any,
        objective: Any,
        *,
        by_cosine: bool,
        dimensions: Sequence[int] = (),
        guide: Any = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.objective = objective
        self.by_cosine = by_cosine
        self.dimensions = tuple(dimensions)
        self.guide = guide

    def forward(self, sentence_features: Any, labels: Any = None) -> torch.Tensor:
        """Features of the queries and of the documents, and the rows' labels -> a scalar."""
        features = list(sentence_features)
        if self.guide is not None:
            # Before the model, which writes what it computes into the features.
            labels = columns(*self.guide(features))
        queries, documents = (self.model(one)["sentence_embedding"] for one in features)
        return self.compare(columns(queries, documents), labels)

    def compare(self, vectors: Vectors, labels: Any = None) -> torch.Tensor:
        """The loss of vectors (n, d) of each column."""
        with torch.autocast(vectors[0].device.type, enabled=False):
            losses = [
                self.objective([{"sentence_embedding": one} for one in found], labels)
                for found in self.scored(vectors)
            ]
            return torch.stack(losses).sum()

    def scored(self, vectors: Vectors) -> Iterator[list[torch.Tensor]]:
        """The vectors as search scores them, of each length that is trained."""
        for dimension in self.dimensions or (None,):
            cut = [one.float()[:, :dimension] for one in vectors]
            yield [normalize(one, dim=1) for one in cut] if self.by_cosine else cut


class CachedVectorLoss(CachedLossMixin, VectorLoss):
    """The same with the batch computed in parts (GradCache): ``objective`` brings
    ``calculate_loss``, which goes through the batch's rows in parts, too.

    A part holds texts of about one length, and no more tokens than ``mini_batch_size`` of the
    batch's longest texts have: of shorter ones it holds more.
    """

    def __init__(self, model: Any, objective: Any, *, mini_batch_size: int, **options: Any) -> None:
        super().__init__(model, objective, **options)
        self.mini_batch_size = mini_batch_size
        #: Of queries and documents, when they were sorted: where each is found again.
        self.places: list[torch.Tensor] | None = None

    def forward(self, sentence_features: Any, labels: Any = None) -> torch.Tensor:
        features = list(sentence_features)
        if self.guide is not None:
            labels = columns(*self.guide(features))
        lengths = [one["attention_mask"].sum(dim=1) for one in features]
        self.mini_batch_num_tokens = self.mini_batch_size * int(max(map(torch.max, lengths)))
        orders = [one.argsort(descending=True, stable=True) for one in lengths]
        self.places = [order.argsort() for order in orders]
        return self.forward_cached(
            [
                {
                    name: value[order]
                    if isinstance(value, torch.Tensor) and value.shape[:1] == order.shape
                    else value
                    for name, value in column.items()
                }
                for column, order in zip(features, orders, strict=True)
            ],
            labels,
        )

    def calculate_loss(
        self, reps: list[list[torch.Tensor]], labels: Any = None, *, with_backward: bool = False
    ) -> torch.Tensor:
        """The loss of vectors in parts; ``with_backward`` leaves each part its gradient."""
        vectors = [torch.cat(parts) for parts in reps]
        if self.places is not None:
            vectors = [one[at] for one, at in zip(vectors, self.places, strict=True)]
        total = torch.zeros((), device=vectors[0].device)
        with torch.autocast(vectors[0].device.type, enabled=False):
            for found in self.scored(columns(*vectors)):
                leaves = [one.detach().requires_grad_(with_backward) for one in found]
                parts = [[leaf] for leaf in leaves]
                total += self.objective.calculate_loss(parts, labels, with_backward=with_backward)
                if with_backward:
                    gradients = [leaf.grad for leaf in leaves]
                    torch.autograd.backward(found, gradients, retain_graph=True)
        return total


class Guide(torch.nn.Module):
    """GIST's guide: another model's vectors of a batch, as that model's own search compares them.

    It reads the tokens of the trained model where both have the same vocabulary and prompts, else
    the texts that these stand for. ``size`` texts at a time.
    """

    def __init__(
        self,
        encoder: Any,
        tokenizer: Any,
        *,
        by_cosine: bool,
        prompts: tuple[str, str] | None = None,
        size: int = 32,
    ) -> None:
        super().__init__()
        self.encoder = encoder.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.by_cosine = by_cosine
        self.prompts = prompts
        self.size = size
        self.same = prompts is None and tokenizer.get_vocab() == encoder.tokenizer.get_vocab()

    def train(self, mode: bool = True) -> "Guide":  # noqa: ARG002 - it is not trained
        return super().train(False)

    @torch.no_grad()
    def forward(self, features: list[dict[str, Any]]) -> list[torch.Tensor]:
        """Those of queries and of documents."""
        return [self._column(column, at == 0) for at, column in enumerate(features)]

    def _column(self, column: dict[str, Any], asked: bool) -> torch.Tensor:
        count = len(column["input_ids"])
        parts = []
        for start in range(0, count, self.size):
            part = {
                name: value[start : start + self.size]
                for name, value in column.items()
                if isinstance(value, torch.Tensor) and value.ndim and len(value) == count
            }
            parts.append(self.encoder(self._read(part, asked))["sentence_embedding"].float())
        vectors = torch.cat(parts)
        return normalize(vectors, dim=1) if self.by_cosine else vectors

    def _read(self, part: dict[str, Any], asked: bool) -> dict[str, Any]:
        if self.same:
            return part
        texts = self.tokenizer.batch_decode(part["input_ids"], skip_special_tokens=True)
        prompt = self.prompts[0 if asked else 1] if self.prompts else ""
        found: dict[str, Any] = batch_to_device(
            self.encoder.preprocess(texts, prompt=prompt or None), part["input_ids"].device
        )
        return found


class GuidedContrast(torch.nn.Module):
    """GISTEmbed's objective (Solatorio 2024), for any number of negatives.

    A query's positive is told from the other rows' documents and its own negatives, and, as in the
    paper, from the other queries; the positives from each other, too. What the guide scores above
    the positive's score less ``margin`` is left out: it may well be relevant.
    """

    def __init__(
        self, *, scale: float, margin: float = 0.0, across: bool = False, size: int = 0
    ) -> None:
        super().__init__()
        self.scale = scale
        self.margin = margin
        self.across = across
        self.size = size

    def forward(self, features: list[dict[str, Any]], guided: Vectors) -> torch.Tensor:
        vectors = [one["sentence_embedding"] for one in features]
        return self._loss(vectors, guided, slice(0, len(vectors[0])))

    def calculate_loss(
        self, reps: list[list[torch.Tensor]], guided: Vectors, *, with_backward: bool = False
    ) -> torch.Tensor:
        """The same, ``size`` queries at a time."""
        vectors = [torch.cat(parts) for parts in reps]
        count = len(vectors[0])
        total = torch.zeros((), device=vectors[0].device)
        for start in range(0, count, self.size or count):
            loss = self._loss(vectors, guided, slice(start, start + (self.size or count)))
            if with_backward:
                loss.backward()
            total += loss.detach() if with_backward else loss
        return total

    def _loss(self, vectors: Vectors, guided: Vectors, rows: slice) -> torch.Tensor:
        queries, positives, *negatives = vectors
        asked, right, *wrong = guided
        count = len(queries)
        first = get_rank() * count if self.across else 0
        every, every_right = self._gathered(positives), self._gathered(right)
        own = torch.arange(count, device=queries.device)[rows]
        threshold = (asked[rows] * right[rows]).sum(dim=1, keepdim=True) - self.margin
        blocks = [
            (queries[rows] @ every.T, asked[rows] @ every_right.T, own + first, False),
            (queries[rows] @ queries.T, asked[rows] @ asked.T, own, True),
            (positives[rows] @ every.T, right[rows] @ every_right.T, own + first, True),
        ]
        for one, known in zip(negatives, wrong, strict=True):
            one, known = self._gathered(one), self._gathered(known)
            blocks.append((queries[rows] @ one.T, asked[rows] @ known.T, None, False))
        scores = [
            without(found, guess > threshold, places, itself=itself)
            for found, guess, places, itself in blocks
        ]
        logits = torch.cat(scores, dim=1) * self.scale
        return cross_entropy(logits, own + first, reduction="sum") / count

    def _gathered(self, vectors: torch.Tensor) -> torch.Tensor:
        """Those of the other devices, too, where they are negatives."""
        found: torch.Tensor = all_gather_with_grad(vectors) if self.across else vectors
        return found


def without(
    scores: torch.Tensor, relevant: torch.Tensor, own: torch.Tensor | None, *, itself: bool
) -> torch.Tensor:
    """Scores without those that may be relevant. ``own`` are the columns of the rows themselves:
    the positive's, which stays, or (``itself``) that of the very same text, which goes."""
    if own is not None:
        relevant[torch.arange(len(own), device=own.device), own] = itself
    return scores.masked_fill(relevant, -torch.inf)


class OwnCandidates(torch.nn.Module):
    """Cross-entropy of a query's positive among its own candidates, without the batch's others
    (FlagEmbedding's ``use_inbatch_neg`` off)."""

    def __init__(self, *, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, features: list[dict[str, Any]], _: Any = None) -> torch.Tensor:
        vectors = [one["sentence_embedding"] for one in features]
        scores = torch.stack([pairwise_dot_score(vectors[0], one) for one in vectors[1:]], dim=1)
        right = torch.zeros(len(scores), dtype=torch.long, device=scores.device)
        return cross_entropy(scores * self.scale, right)


class FunctionLoss(torch.nn.Module):
    """What a function computes of the vectors (n, d) of each column, and of the rows' labels."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, features: list[dict[str, Any]], labels: Any = None) -> torch.Tensor:
        found: torch.Tensor = self.function([one["sentence_embedding"] for one in features], labels)
        return found


class Divide(torch.nn.Module):
    """Scores divided by a temperature."""

    def __init__(self, by: float) -> None:
        super().__init__()
        self.by = by

    def forward(self, scores: torch.Tensor) -> torch.Tensor:
        return scores / self.by


class PairScore(torch.nn.Module):
    """The squared difference between a pair's score and the given one."""

    def forward(self, features: list[dict[str, Any]], labels: Any) -> torch.Tensor:
        left, right = (one["sentence_embedding"] for one in features)
        return mse_loss(pairwise_dot_score(left, right), labels.float().view(-1))


class TokenContrast(torch.nn.Module):
    """Contrast by MaxSim (ColBERT, Khattab and Zaharia 2020): a query's positive is told from all
    other documents of the batch, the given negatives of whichever row among them.

    ``across``: of the other devices' batches, too. sentence-transformers'
    ``MultiVectorMultipleNegativesRankingLoss`` is the same for rows of as many negatives each.
    """

    def __init__(self, model: Any, *, scale: float, across: bool = False) -> None:
        super().__init__()
        self.model = model
        self.scale = scale
        self.across = across

    def forward(self, sentence_features: Any, _: Any = None) -> torch.Tensor:
        """Features of n queries and of their documents, the n positives first."""
        asked, given = (self.model(one, task=one["task"]) for one in sentence_features)
        tokens, mask = given["token_embeddings"], given["attention_mask"].bool()
        first = get_rank() * len(tokens) if self.across else 0
        if self.across:
            tokens, mask = all_gather_padded(tokens, mask, with_grad=True)
        scores = max_sim(
            asked["token_embeddings"],
            tokens[:, None],
            queries_mask=asked["attention_mask"].bool(),
            documents_mask=mask[:, None],
        )
        right = torch.arange(len(scores), device=scores.device) + first
        return cross_entropy(scores * self.scale, right)


def max_sim(queries: torch.Tensor, documents: torch.Tensor, **masks: Any) -> torch.Tensor:
    """MaxSim of late interaction as search computes it: by cosines, in fp32."""
    with torch.autocast(queries.device.type, enabled=False):
        found: torch.Tensor = colbert_scores(
            normalize(queries.float(), dim=-1), normalize(documents.float(), dim=-1), **masks
        )
        return found
