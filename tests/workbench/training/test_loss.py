"""Every objective learns the score that search gives, in fp32 whatever the model computes in."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.workbench.training.fakes import save_tiny_model
from workbench.models.contract import Contract
from workbench.models.load import LoadedEmbedding
from workbench.recipes.train import TrainEmbeddingRecipe
from workbench.recipes.train_kinds import TrainImageTextRecipe
from workbench.training.image_text import picture_loss
from workbench.training.loss import embedding_loss
from workbench.training.objectives import Guide, TokenContrast, max_sim
from workbench.training.rows import fitted, scale_of

# torch and a tiny model.
pytestmark = pytest.mark.slow

QUERIES = ["which cat red", "which dog old", "which cow big", "which hen shy"]
RIGHT = ["here is red cat", "here is old dog", "here is big cow", "here is shy hen"]
WRONG = [
    ["here is old cat", "here is red dog", "here is big hen", "here is odd cow"],
    ["here is wet fox", "here is dry owl", "here is raw bee", "here is low ant"],
]
OBJECTIVES = [
    "contrastive",
    "cached-contrastive",
    "gist",
    "cached-gist",
    "distill-kl",
    "margin-mse",
    "cosent",
    "cosine",
]
PAIRS = ("cosent", "cosine")
TAUGHT = ("distill-kl", "margin-mse")
CACHED = ("cached-contrastive", "cached-gist")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("base") / "tiny")


def plain(folder: Path) -> Any:
    """The tiny model without its Normalize module, and without dropout."""
    from sentence_transformers import SentenceTransformer

    whole = SentenceTransformer(str(folder), device="cpu")
    model = SentenceTransformer(modules=list(whole)[:2], device="cpu")
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return model


def recipe(objective: str, **values: Any) -> TrainEmbeddingRecipe:
    return TrainEmbeddingRecipe(dataset="pets", objective=objective, mini_batch_size=2, **values)


def loss_of(model: Any, contract: Contract, recipe: TrainEmbeddingRecipe, base: Path) -> Any:
    guide = None
    if "gist" in recipe.objective:
        guide = Guide(plain(base), model.tokenizer, by_cosine=contract.normalize)
    return embedding_loss(model, contract, recipe, guide)


def columns(objective: str) -> list[list[str]]:
    return [QUERIES, RIGHT] if objective in PAIRS else [QUERIES, RIGHT, *WRONG]


def read(model: Any, texts: list[list[str]]) -> list[Any]:
    """Features of the queries and of all documents, the positives first."""
    return [
        model.preprocess(texts[0]),
        model.preprocess([one for part in texts[1:] for one in part]),
    ]


def labels(objective: str) -> Any:
    if objective in PAIRS:
        return torch.tensor([0.9, 0.1, 0.7, 0.3])
    if objective in TAUGHT:
        return torch.tensor([[0.4, 0.1, 0.0], [0.3, 0.2, 0.1], [0.5, 0.4, 0.1], [0.2, 0.2, 0.0]])
    return None


def scores(loaded: LoadedEmbedding, texts: list[list[str]]) -> NDArray[np.float32]:
    """(4, columns - 1): what search computes for each row's documents."""
    asked = loaded.encode(texts[0], "query")
    found = [(asked * loaded.encode(one, "document")).sum(axis=1) for one in texts[1:]]
    return np.stack(found, axis=1)


def expected(objective: str, found: NDArray[np.float32], every: Any, scale: float) -> float | None:
    """The objective, written down plainly over the scores of search."""
    known = labels(objective)
    table = torch.tensor(found)
    if objective in ("contrastive", "cached-contrastive"):
        right = torch.arange(len(table))
        return float(torch.nn.functional.cross_entropy(torch.tensor(every) * scale, right))
    if objective == "distill-kl":
        student = torch.log_softmax(table * scale, dim=1)
        teacher = torch.softmax(known, dim=1)
        terms = teacher * (teacher.log() - student)
        return float(terms.sum() / len(table) / scale**2)
    if objective == "margin-mse":
        margins = table[:, :1] - table[:, 1:]
        return float(((margins - (known[:, :1] - known[:, 1:])) ** 2).mean())
    if objective == "cosine":
        return float(((table[:, 0] - known) ** 2).mean())
    if objective == "cosent":
        flat = table[:, 0] * scale
        pairs = [flat[b] - flat[a] for a in range(4) for b in range(4) if known[a] > known[b]]
        return float(torch.logsumexp(torch.stack([torch.tensor(0.0), *pairs]), dim=0))
    return None


@pytest.mark.parametrize("normalize", [True, False], ids=["cosine", "dot"])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_loss_is_of_the_scores_that_search_gives(
    objective: str, normalize: bool, base: Path
) -> None:
    """The model has no Normalize module: its contract alone says how vectors are compared."""
    model = plain(base)
    contract = Contract(normalize=normalize, query_max_len=16, passage_max_len=16)
    wanted = recipe(objective)
    loss = loss_of(model, contract, wanted, base)
    texts = columns(objective)
    features = read(model, texts)
    value = loss(features, labels(objective))
    loaded = LoadedEmbedding(model, contract, "cpu", "fp32")
    asked = loaded.encode(texts[0], "query")
    every = asked @ np.concatenate([loaded.encode(one, "document") for one in texts[1:]]).T
    plainly = expected(objective, scores(loaded, texts), every, scale_of(wanted, contract))
    if plainly is not None:
        assert value.item() == pytest.approx(plainly, rel=1e-4, abs=1e-6)
    value.backward()
    assert model[0].model.embeddings.word_embeddings.weight.grad.abs().sum() > 0

    # What is trained moves the scores of search where it should.
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(30):
        optimizer.zero_grad()
        value = loss([dict(one) for one in features], labels(objective))
        value.backward()
        optimizer.step()
    after = scores(LoadedEmbedding(model, contract, "cpu", "fp32"), texts)
    if objective in PAIRS:
        order = [0, 2, 3, 1]
        assert after[order, 0].tolist() == sorted(after[:, 0].tolist(), reverse=True)
    elif objective not in TAUGHT:
        assert (after[:, 0] > after[:, 1:].max(axis=1)).all()
    else:
        known = labels(objective).numpy()
        margins, wished = after[:, :1] - after[:, 1:], known[:, :1] - known[:, 1:]
        assert np.corrcoef(margins.ravel(), wished.ravel())[0, 1] > 0.9


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("dims", ["", "16, 8"], ids=["whole", "matryoshka"])
def test_gradients_are_those_of_fp32_under_autocast(objective: str, dims: str, base: Path) -> None:
    """bf16 has eight bits: similarities and their logsumexp computed in it move a query's gradient
    by a quarter and more."""
    model = plain(base)
    loss = loss_of(model, Contract(), recipe(objective, matryoshka_dims=dims), base)
    torch.manual_seed(0)
    count = 2 if objective in PAIRS else 4
    drawn = [torch.randn(4, 32) for _ in range(count)]
    known = labels(objective)
    if "gist" in objective:
        known = [torch.nn.functional.normalize(torch.randn(4, 32), dim=1) for _ in range(count)]

    def gradients(*, autocast: bool) -> list[torch.Tensor]:
        vectors = [one.clone().requires_grad_() for one in drawn]
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            if objective in CACHED:
                parts = [[vectors[0]], [torch.cat(vectors[1:])]]
                loss.calculate_loss(parts, known, with_backward=True)
            else:
                value = loss.compare(vectors, known)
        if objective not in CACHED:
            value.backward()
        return [one.grad for one in vectors if one.grad is not None]

    exact, found = gradients(autocast=False), gradients(autocast=True)
    assert len(found) == count
    for one, other in zip(exact, found, strict=True):
        assert one.dtype == other.dtype == torch.float32
        assert torch.equal(one, other)


@pytest.mark.parametrize("objective", ["contrastive", "gist"])
@pytest.mark.parametrize("dims", ["", "16"], ids=["whole", "matryoshka"])
def test_a_batch_in_parts_has_the_gradients_of_the_whole(
    objective: str, dims: str, base: Path
) -> None:
    found = []
    for name in (objective, f"cached-{objective}"):
        model = plain(base)
        loss = loss_of(model, Contract(), recipe(name, matryoshka_dims=dims), base)
        features = read(model, columns(name))
        value = loss(features)
        value.backward()
        gradient = model[0].model.embeddings.word_embeddings.weight.grad
        found.append((value.item(), gradient.clone()))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-5)
    assert torch.allclose(found[0][1], found[1][1], rtol=1e-3, atol=1e-4)


def test_a_part_holds_as_many_tokens_as_so_many_of_the_longest_texts(base: Path) -> None:
    lengths = [3, 40, 5, 4, 38, 6, 3, 4, 5, 20, 3, 4]
    queries = [" ".join(["cat"] * (2 + at % 2)) for at in range(len(lengths))]
    right = [" ".join((["dog", "old"] * 20)[:count]) for count in lengths]
    found = []
    read: list[int] = []
    for name in ("contrastive", "cached-contrastive"):
        model = plain(base).train()
        loss = loss_of(model, Contract(), recipe(name), base)
        model.register_forward_pre_hook(
            lambda _, given: read.append(int(given[0]["attention_mask"].sum()))
        )
        read.clear()
        value = loss([model.preprocess(queries), model.preprocess(right)])
        value.backward()
        gradient = model[0].model.embeddings.word_embeddings.weight.grad
        found.append((value.item(), gradient.clone()))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-5)
    assert torch.allclose(found[0][1], found[1][1], rtol=1e-3, atol=1e-4)
    # Twice, as GradCache does; all queries in one part, two long documents in one, then the rest.
    longest = 40 + 2  # Where it begins and ends.

    assert len(read) == 2 * 3
    assert max(read) <= 2 * longest


#: The negatives that rows bring: the first and the last none, the second one, the third two.
GIVEN = [*WRONG[0][1:3], WRONG[1][2]]


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("objective", ["contrastive", "cached-contrastive", "gist", "cached-gist"])
def test_rows_without_negatives_carry_none(objective: str, symmetric: bool, base: Path) -> None:
    """The loss and its gradient are those of the softmax over the documents that there are."""
    if symmetric and "gist" in objective:
        pytest.skip("GIST has one direction")
    options = {"symmetric": True} if symmetric else {}
    found = []
    for by_hand in (False, True):
        model = plain(base)
        asked, given = read(model, [QUERIES, RIGHT, GIVEN])
        assert len(given["input_ids"]) == len(RIGHT) + len(GIVEN)
        if by_hand:
            vectors = [model(one)["sentence_embedding"] for one in (asked, given)]
            queries, documents = (torch.nn.functional.normalize(one, dim=1) for one in vectors)
            own = torch.arange(len(QUERIES))
            scores, back = queries @ documents.T / 0.05, documents[:4] @ queries.T / 0.05
            if "gist" in objective:
                # The guide is the model as it is: what it finds better than the positive goes.
                better = (scores > scores.diagonal()[:, None]).detach()
                across = queries @ queries.T / 0.05
                between = documents[:4] @ documents[:4].T / 0.05
                edge = scores.diagonal()[:, None]
                alike = (across > edge).detach(), (between > edge).detach()
                scores = torch.cat(
                    [
                        scores.masked_fill(better, -torch.inf),
                        across.masked_fill(alike[0] | torch.eye(4).bool(), -torch.inf),
                        between.masked_fill(alike[1] | torch.eye(4).bool(), -torch.inf),
                    ],
                    dim=1,
                )
            value = torch.nn.functional.cross_entropy(scores, own)
            if symmetric:
                value = (value + torch.nn.functional.cross_entropy(back, own)) / 2
        else:
            loss = loss_of(model, Contract(), recipe(objective, **options), base)
            value = loss([asked, given])
        value.backward()
        gradient = model[0].model.embeddings.word_embeddings.weight.grad
        found.append((value.item(), gradient.clone()))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-5)
    assert torch.allclose(found[0][1], found[1][1], rtol=1e-3, atol=1e-4)


def test_late_interaction_s_rows_without_negatives_carry_none(base: Path) -> None:
    from sentence_transformers import MultiVectorEncoder
    from sentence_transformers.multi_vector_encoder.losses import (
        MultiVectorMultipleNegativesRankingLoss,
    )

    torch.manual_seed(0)
    model = MultiVectorEncoder(str(base), device="cpu").eval()

    def features(texts: list[str], role: str) -> dict[str, Any]:
        return {**model.preprocess(texts, task=role), "task": role}

    def gradient_of(value: torch.Tensor) -> torch.Tensor:
        model.zero_grad()
        value.backward()
        found: torch.Tensor = model[0].model.embeddings.word_embeddings.weight.grad.clone()
        return found

    loss = TokenContrast(model, scale=0.5)
    value = loss([features(QUERIES, "query"), features(RIGHT + GIVEN, "document")])

    def vectors(text: str, role: str) -> torch.Tensor:
        made = model(features([text], role), task=role)
        tokens = torch.nn.functional.normalize(made["token_embeddings"][0], dim=1)
        return tokens[made["attention_mask"][0].bool()]

    asked = [vectors(one, "query") for one in QUERIES]
    given = [vectors(one, "document") for one in RIGHT + GIVEN]
    table = torch.stack(
        [torch.stack([(one @ two.T).amax(dim=1).sum() for two in given]) for one in asked]
    )
    plainly = torch.nn.functional.cross_entropy(table * 0.5, torch.arange(len(QUERIES)))
    assert value.item() == pytest.approx(plainly.item(), rel=1e-4)
    assert torch.allclose(gradient_of(value), gradient_of(plainly), rtol=1e-3, atol=1e-5)
    # With as many for each row it is the library's.
    whole = loss([features(QUERIES, "query"), features(RIGHT + WRONG[0], "document")])
    library = MultiVectorMultipleNegativesRankingLoss(model, scale=0.5, similarity_fct=max_sim)
    parts = [features(QUERIES, "query"), *(features(one, "document") for one in (RIGHT, WRONG[0]))]
    assert whole.item() == pytest.approx(library(parts).item(), rel=1e-5)


def test_gist_leaves_out_what_its_guide_finds_better(base: Path) -> None:
    model = plain(base)
    wanted = recipe("gist", temperature=1.0)
    axes = torch.eye(4, 32)
    query, positive = axes[:2].clone(), axes[2:].clone()
    # The guide: the first query's positive, .5; its negative, .6; the other's positive, 0.
    guided_query = axes[:2]
    guided_right = torch.stack([0.5 * axes[0], 0.5 * axes[1]])
    guided_wrong = torch.stack([0.6 * axes[0], 0.4 * axes[1]])
    wrong = torch.zeros(2, 32)

    def value(margin: float) -> float:
        changed = wanted.model_copy(update={"guide_margin": margin})
        loss = loss_of(model, Contract(normalize=False), changed, base)
        vectors, known = [query, positive, wrong], [guided_query, guided_right, guided_wrong]
        return float(loss.compare(vectors, known))

    # All scores are 0. Candidates of a query: two positives, the other query, the other positive
    # for the positive, and two negatives: those that the guide scores above .5 (.3) are left out.
    five, six = np.log(5), np.log(6)
    assert value(0.0) == pytest.approx((five + six) / 2)
    assert value(0.2) == pytest.approx((five + five) / 2)
    assert value(-0.2) == pytest.approx((six + six) / 2)


def test_max_sim_is_that_of_search() -> None:
    from workbench.models.late_interaction import max_sim as searching

    torch.manual_seed(0)
    queries, documents = 3 * torch.randn(2, 4, 8), 5 * torch.randn(3, 2, 6, 8)
    whole = torch.ones(2, 4, dtype=torch.bool), torch.ones(3, 2, 6, dtype=torch.bool)
    with torch.autocast("cpu", torch.bfloat16):
        found = max_sim(queries, documents, queries_mask=whole[0], documents_mask=whole[1])

    def unit(vectors: Any) -> Any:
        return torch.nn.functional.normalize(vectors, dim=-1).numpy()

    flat = documents.reshape(6, 6, 8)
    wanted = searching([unit(one) for one in queries], [unit(one) for one in flat])
    assert found.dtype == torch.float32
    assert np.allclose(found.reshape(2, 6).numpy(), wanted, atol=1e-5)


@pytest.mark.parametrize("normalize", [True, False])
def test_pictures_are_compared_as_in_search(normalize: bool, base: Path) -> None:
    wanted = TrainImageTextRecipe(dataset="drawn")
    loss = picture_loss(plain(base), Contract(kind="image-text", normalize=normalize), wanted)
    torch.manual_seed(1)
    left, right = torch.randn(3, 8), torch.randn(3, 8)
    with torch.autocast("cpu", torch.bfloat16):
        value = loss.compare([left, right], None)
    if normalize:
        left, right = (torch.nn.functional.normalize(one, dim=1) for one in (left, right))
    table, own = left @ right.T / wanted.temperature, torch.arange(3)
    ways = [torch.nn.functional.cross_entropy(one, own) for one in (table, table.T)]
    assert value.item() == pytest.approx(float(sum(ways)) / 2, rel=1e-5)


CROSS_ENCODER = [[9.0, 1.0, -6.0], [4.0, -5.0, -6.0], [8.0, 7.5, -2.0]]


def test_a_teacher_s_spread_is_brought_within_reach_of_cosines() -> None:
    cosine, dot = Contract(), Contract(normalize=False)
    kl, margins = recipe("distill-kl"), recipe("margin-mse")
    found = fitted(CROSS_ENCODER, kl, cosine)
    # The usual spread, 14.5, becomes one of half a cosine, divided by .05.
    spread = np.ptp(np.array(found.scores), axis=1)
    assert np.quantile(spread, 0.95) == pytest.approx(0.5 / 0.05)
    assert "The teacher's scores were divided by" in found.notes[0]
    found = fitted(CROSS_ENCODER, margins, cosine)
    assert np.quantile(np.ptp(np.array(found.scores), axis=1), 0.95) == pytest.approx(0.5)
    # What cosines can follow as it is, is not stretched; inner products follow anything.
    alike = [[0.8, 0.5, 0.4], [0.7, 0.6, 0.5]]
    assert fitted(alike, margins, cosine).scores == alike
    assert fitted(alike, kl, cosine).divided_by == pytest.approx(0.05)
    assert fitted(CROSS_ENCODER, margins, dot).divided_by == 1.0
    # Whoever names a temperature gets it.
    assert fitted(CROSS_ENCODER, recipe("distill-kl", teacher_temperature=2.0), cosine).scores == [
        [one / 2 for one in row] for row in CROSS_ENCODER
    ]


def test_a_teacher_that_tells_nothing_is_refused() -> None:
    from workbench.errors import BadInput

    with pytest.raises(BadInput, match="no difference to learn"):
        fitted([[1.0, 1.0], [0.5, 0.5]], recipe("distill-kl"), Contract())
    found = fitted([[1.0, 1.0], [0.5, 0.1]], recipe("margin-mse"), Contract())
    assert found.notes[0].startswith("In 1 of 2 rows the teacher gives all documents the same")


def test_a_temperature_that_was_asked_for_is_heeded_by_inner_products() -> None:
    assert scale_of(recipe("contrastive"), Contract(normalize=False)) == 1.0
    assert scale_of(recipe("contrastive", temperature=2.0), Contract(normalize=False)) == 0.5
    assert scale_of(recipe("contrastive"), Contract()) == pytest.approx(20.0)
