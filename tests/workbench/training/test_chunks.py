"""A batch in chunks of about one length has the loss and the gradients of the whole one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tests.workbench.training.fakes import ANIMALS, TRAITS, save_decoder, save_tiny_model
from workbench.models.contract import Contract
from workbench.recipes.objectives import OBJECTIVES
from workbench.recipes.train import TrainEmbeddingRecipe
from workbench.recipes.train_kinds import TrainImageTextRecipe, TrainRerankerRecipe
from workbench.training import chunks
from workbench.training.chunks import (
    ON_CPU,
    Budget,
    _Drop,
    _given,
    _looked_up,
    cut,
    in_chunks,
)
from workbench.training.image_text import picture_loss
from workbench.training.loss import embedding_loss
from workbench.training.objectives import Guide, TokenContrast
from workbench.training.reranker import reranker_loss

# torch and a tiny model.
pytestmark = pytest.mark.slow

SMALL = Budget(tokens=40, padding=4)
ROWS = 8


def told(count: int, at: int) -> str:
    """A text of so many words."""
    words = [*ANIMALS, *TRAITS]
    return " ".join(words[(at * 5 + n) % len(words)] for n in range(count))


QUERIES = [told(2 + at % 3, at) for at in range(ROWS)]
RIGHT = [told(3 + 7 * at % 23, at + 1) for at in range(ROWS)]
WRONG = [told(2 + 5 * at % 29, at + 2) for at in range(ROWS)]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("base") / "tiny")


def embedding(folder: Path) -> Any:
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder), device="cpu")


def steady(model: Any) -> Any:
    """In training mode, without dropout."""
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return model.train()


def both(make: Callable[[], Any], loss_of: Callable[[Any], Any]) -> tuple[list[Any], int]:
    """(loss, gradients) of the whole batch and of one in chunks, and the chunks' number."""
    found, calls = [], 0

    def count(*_: Any) -> None:
        nonlocal calls
        calls += 1

    for chunked in (False, True):
        model = steady(make())
        if chunked:
            in_chunks(model, SMALL)
            model[0].register_forward_hook(count)
        value = loss_of(model)
        value.backward()
        gradients = [one.grad for one in model.parameters() if one.grad is not None]
        found.append((value.item(), gradients))
    return found, calls


def assert_same(found: list[Any], calls: int, columns: int) -> None:
    (whole, exact), (parts, close) = found
    assert calls > columns, "the batch was not cut"
    assert parts == pytest.approx(whole, abs=1e-4)
    assert len(exact) == len(close) > 0
    for one, other in zip(exact, close, strict=True):
        assert torch.allclose(one, other, rtol=1e-3, atol=1e-5)


def test_chunks_hold_the_budget_and_little_padding() -> None:
    lengths = [100, 99, 98, 50, 50, 49, 10, 10, 2]
    assert cut(lengths, Budget(tokens=250, padding=20)) == [(0, 2), (2, 3), (3, 6), (6, 9)]
    assert cut([300], Budget(tokens=250, padding=20)) == [(0, 1)]
    assert cut([300, 300], Budget(tokens=250, padding=20)) == [(0, 1), (1, 2)]
    assert cut([8] * 16, ON_CPU) == [(0, 16)]


@pytest.mark.parametrize(
    "objective",
    [one.name for one in OBJECTIVES.all() if "embedding" in one.losses],
)
def test_embedding(objective: str, base: Path) -> None:
    recipe = TrainEmbeddingRecipe(dataset="pets", objective=objective, mini_batch_size=8)
    columns = [QUERIES, RIGHT if recipe.on_pairs else RIGHT + WRONG]
    labels = torch.linspace(0, 1, ROWS) if recipe.on_pairs else None
    if objective in ("distill-kl", "margin-mse"):
        labels = torch.linspace(0, 1, ROWS * 2).view(ROWS, 2)

    def loss_of(model: Any) -> Any:
        guide = None
        if "gist" in objective:
            guide = Guide(embedding(base), model.tokenizer, by_cosine=True)
        loss = embedding_loss(model, Contract(), recipe, guide)
        return loss([model.preprocess(one) for one in columns], labels)

    assert_same(*both(lambda: embedding(base), loss_of), len(columns))


def test_decoders_padded_in_front(tmp_path: Path) -> None:
    folder = save_decoder(tmp_path / "qwen", "qwen3")

    def make() -> Any:
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.base.modules import Transformer
        from sentence_transformers.sentence_transformer.modules import Pooling

        read = Transformer(str(folder))
        read.tokenizer.padding_side = "left"
        return SentenceTransformer(modules=[read, Pooling(32, "lasttoken")], device="cpu")

    widths: list[int] = []

    def loss_of(model: Any) -> Any:
        model[0].register_forward_hook(
            lambda _, given, __: widths.append(given[0]["input_ids"].shape[1])
        )
        loss = embedding_loss(model, Contract(), TrainEmbeddingRecipe(dataset="pets"))
        return loss([model.preprocess(one) for one in (QUERIES, RIGHT + WRONG)])

    assert_same(*both(make, loss_of), 3)
    assert min(widths[3:]) < min(widths[:3]), "padding in front was not cut off"


@pytest.mark.parametrize("objective", ["bce", "contrastive", "listnet", "lambda"])
def test_reranker(objective: str, base: Path) -> None:
    from sentence_transformers import CrossEncoder

    plain = base.with_name(base.name + "-plain")
    recipe = TrainRerankerRecipe(dataset="pets", objective=objective)

    def make() -> Any:
        torch.manual_seed(0)
        return CrossEncoder(str(plain), num_labels=1, device="cpu")

    def loss_of(model: Any) -> Any:
        loss = reranker_loss(model, recipe)
        if recipe.chosen_objective.pointwise:
            pairs = [QUERIES * 2, RIGHT + WRONG]
            return loss(pairs, torch.tensor([1.0] * ROWS + [0.0] * ROWS))
        lists = [list(one) for one in zip(RIGHT, WRONG, strict=True)]
        return loss([QUERIES, lists], [torch.tensor([1.0, 0.0])] * ROWS)

    assert_same(*both(make, loss_of), 1)


@pytest.mark.parametrize("expanded", [False, True], ids=["plain", "expanded queries"])
def test_late_interaction(expanded: bool, base: Path) -> None:
    from sentence_transformers import MultiVectorEncoder

    plain = base.with_name(base.name + "-plain")

    def make() -> Any:
        torch.manual_seed(0)
        model = MultiVectorEncoder(str(plain), device="cpu")
        if expanded:
            model[0].query_expansion = {"strategy": "fixed", "attend": False, "length": 16}
        return model

    def loss_of(model: Any) -> Any:
        loss = TokenContrast(model, scale=1.0)
        columns = ((QUERIES, "query"), (RIGHT + WRONG, "document"))
        features = [{**model.preprocess(one, task=role), "task": role} for one, role in columns]
        if expanded:
            assert "query_expansion_positions" in features[0]
        return loss(features)

    assert_same(*both(make, loss_of), 2)


def test_captions(tmp_path: Path) -> None:
    from workbench.models.image_text import preprocess_texts, whole_model
    from workbench.models.small_clip import make_small_clip

    make_small_clip(tmp_path / "clip", [*ANIMALS, *TRAITS], 32, 0)
    pixels = torch.randn(ROWS, 3, 32, 32, generator=torch.Generator().manual_seed(0))

    def loss_of(model: Any) -> Any:
        loss = picture_loss(model, Contract(), TrainImageTextRecipe(dataset="pets"))
        pictures = {"pixel_values": pixels, "modality": "image"}
        return loss([preprocess_texts(model, RIGHT, "", 32), pictures])

    found, calls = both(lambda: whole_model(tmp_path / "clip", "cpu"), loss_of)
    assert_same(found, calls, 2)


def test_a_model_in_use_computes_its_batch_at_once(base: Path) -> None:
    model = embedding(base)
    in_chunks(model, SMALL)
    calls: list[int] = []
    model[0].register_forward_hook(lambda *_: calls.append(1))
    model.encode(RIGHT)
    assert len(calls) == 1


@pytest.mark.parametrize("most", [1, 512])
def test_attention_is_written_out_for_short_texts(
    most: int, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "WRITTEN_OUT", most)
    own = chunks.sdpa_attention_forward
    asked: list[bool] = []

    def asking(module: Any, *args: Any, **options: Any) -> Any:
        asked.append(module in chunks._FAST)
        return own(module, *args, **options)

    monkeypatch.setattr(chunks, "sdpa_attention_forward", asking)

    def loss_of(model: Any) -> Any:
        loss = embedding_loss(model, Contract(), TrainEmbeddingRecipe(dataset="pets"))
        return loss([model.preprocess(one) for one in (QUERIES, RIGHT + WRONG)])

    assert_same(*both(lambda: embedding(base), loss_of), 3)
    assert any(asked) == (most == 1)


class Heads(torch.nn.Module):
    """Stands for a layer whose attention is asked for."""

    def __init__(self, causal: bool = False, groups: int = 1) -> None:
        super().__init__()
        self.is_causal = causal
        self.num_key_value_groups = groups
        chunks.drop_fast(self)


def heads_of(groups: int = 1) -> list[torch.Tensor]:
    """Query, key and value of two texts with four tokens and two heads, in fp64."""
    chance = torch.Generator().manual_seed(0)
    found = [
        torch.randn(2, 4, count, 6, generator=chance, dtype=torch.float64).transpose(1, 2)
        for count in (2, 2 // groups, 2 // groups)
    ]
    return [one.requires_grad_() for one in found]


ONE_SHORT = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]], dtype=torch.bool)[:, None, None, :]


@pytest.mark.parametrize(
    ("layer", "mask"),
    [
        (Heads(), None),
        (Heads(), ONE_SHORT.expand(2, 1, 4, 4)),
        (Heads(), torch.where(ONE_SHORT, 0.0, -1e4).double()),
        (Heads(causal=True), None),
        (Heads(groups=2), ONE_SHORT),
    ],
    ids=["whole", "padded", "added", "causal", "grouped"],
)
def test_attention_is_torchs(layer: Heads, mask: torch.Tensor | None) -> None:
    given = heads_of(layer.num_key_value_groups)
    found = []
    for way in (chunks.sdpa_attention_forward, chunks.attention):
        out, _ = way(layer, *given, mask, scaling=0.3)
        found.append([out, *torch.autograd.grad((out * out).sum(), given)])
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other)


def test_dropout_has_its_gradients() -> None:
    layer, drop = Heads(), chunks.Dropout(0.3)

    def seeded(work: Any, *given: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(5)
        found: torch.Tensor = work(*given)
        return found

    def attended(*given: torch.Tensor) -> torch.Tensor:
        return chunks.attention(layer, *given, ONE_SHORT, dropout=0.3)[0]

    assert torch.autograd.gradcheck(lambda *given: seeded(attended, *given), heads_of())
    assert torch.autograd.gradcheck(lambda one: seeded(drop, one), heads_of()[:1])


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_dropout_drops_its_share(rate: float, kind: torch.dtype) -> None:
    drop = chunks.Dropout(rate)
    ones = torch.ones(333, 301, dtype=kind)
    torch.manual_seed(3)
    found = drop(ones)
    assert set(found.unique().tolist()) == {0.0, (ones[0, 0] / (1 - rate)).item()}
    # Five standard deviations of so many draws.
    share = (found == 0).double().mean().item()
    assert abs(share - rate) < 5 * (rate * (1 - rate) / ones.numel()) ** 0.5
    # A row's numbers say nothing of the next one's.
    gone = (found == 0).double() - share
    assert abs((gone[:, 1:] * gone[:, :-1]).mean().item()) < 0.005
    assert not torch.equal(found, drop(ones))
    torch.manual_seed(3)
    assert torch.equal(found, drop(ones))
    assert torch.equal(drop.eval()(ones), ones)


def test_with_dropout_what_is_computed_again_is_the_same(base: Path) -> None:
    found = []
    for again in (False, True):
        model = embedding(base)
        if again:
            model[0].model.gradient_checkpointing_enable({"use_reentrant": False})
        in_chunks(model.train(), SMALL)
        torch.manual_seed(1)
        loss = embedding_loss(model, Contract(), TrainEmbeddingRecipe(dataset="pets"))
        value = loss([model.preprocess(one) for one in (QUERIES, RIGHT + WRONG)])
        value.backward()
        gradients = [one.grad for one in model.parameters() if one.grad is not None]
        found.append((value.item(), gradients))
    assert_same(found, 4, 3)


class Tables(TorchDispatchMode):
    """Counts gradients that are as large as a table of so many rows."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.rows, self.found = rows, 0

    def __torch_dispatch__(self, call: Any, types: Any, args: Any = (), options: Any = None) -> Any:
        if call is torch.ops.aten.embedding_dense_backward.default and args[2] == self.rows:
            self.found += 1
        return call(*args, **(options or {}))


def test_the_words_table_gets_one_gradient_for_all_chunks(base: Path) -> None:
    model = embedding(base).train()
    in_chunks(model, SMALL)
    counted = Tables(model[0].model.get_input_embeddings().num_embeddings)
    vectors = model(model.preprocess(RIGHT))["sentence_embedding"]
    with counted:
        vectors.sum().backward()
    assert counted.found == 1


def test_checkpointed_dropout_keeps_no_masks() -> None:
    """What is computed again in the backward pass is not held from the forward one."""
    kept: list[torch.Tensor] = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor)
        return tensor

    numbers = torch.ones(4, 8, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        _Drop.apply(numbers, 0.5)
    assert [one.dtype for one in kept] == [torch.int16]


def test_a_model_may_change_its_words_vectors_in_place() -> None:
    words = torch.nn.Embedding(5, 3)
    parts = [{"input_ids": torch.tensor([[1, 2]])}, {"input_ids": torch.tensor([[3, 4, 0]])}]
    for part, vectors in zip(parts, _looked_up(words, parts), strict=True):
        with _given(words, part["input_ids"], vectors):
            found = words(part["input_ids"])
        found += 1
        found.sum().backward(retain_graph=True)
    assert words.weight.grad is not None
    assert torch.equal(words.weight.grad, torch.ones(5, 3))
