"""A reranker's pairs are tokenized once, and are what the model itself would make of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from tests.workbench.training.fakes import ANIMALS, FakeReader, save_decoder, save_tiny_model
from tests.workbench.training.test_answers import loaded
from workbench.models.contract import Contract
from workbench.models.load import cut
from workbench.recipes.train_kinds import TrainRerankerRecipe
from workbench.training.pairs import PairCollator, Teacher, candidate_rows
from workbench.training.reranker import reranker_loss
from workbench.training.rows import Texts

# torch and tiny models.
pytestmark = pytest.mark.slow

QUERIES = [f"which {' '.join(ANIMALS[at : at + 1 + at * 2])}" for at in range(6)]
DOCUMENTS = [" ".join(ANIMALS[at % 9 : at % 9 + 1 + at * 5 % 14]) for at in range(12)]
ROWS = [
    {"query": at, "positive": at, "negative_1": at + 6, "negative_2": 11 - at} for at in range(6)
]
#: Tokens: of a query, so that some are cut; of a pair, so that many are.
QUERY, PAIR = 8, 18


def encoder(folder: Path) -> Any:
    from sentence_transformers import CrossEncoder

    save_tiny_model(folder / "tiny")
    torch.manual_seed(0)
    model = CrossEncoder(str(folder / "tiny-plain"), num_labels=1, device="cpu")
    # As BERT's own tokenizer does.
    model.tokenizer.model_input_names = ["input_ids", "token_type_ids", "attention_mask"]
    assert model.preprocess([("cat", "dog")])["token_type_ids"].sum() == 2
    return model


def decoder(folder: Path) -> Any:
    base = save_decoder(folder / "lm", "qwen2", answers=True)
    return loaded(base, prompt_template="{query} ? {document} : {yes} {no} :").model


def collator(model: Any, *, listwise: bool) -> PairCollator:
    model.max_seq_length = PAIR
    texts = [Texts(np.arange(len(one)), pa.array(one)) for one in (QUERIES, DOCUMENTS)]
    return PairCollator(model, *texts, query=QUERY, listwise=listwise)


@pytest.fixture(params=[encoder, decoder], ids=["encoder", "decoder"])
def model(request: Any, tmp_path: Path) -> Any:
    return request.param(tmp_path)


def counted(made: PairCollator) -> list[int]:
    """How many pairs each tokenizing of the collator's reads."""
    read: list[int] = []
    plain = made.tokens.preprocess
    made.tokens.preprocess = lambda pairs: read.append(len(pairs)) or plain(pairs)  # type: ignore[func-returns-value]
    return read


def test_pairs_are_the_model_s_own_whatever_batch_they_are_read_in(model: Any) -> None:
    whole = type(model).preprocess
    made = collator(model, listwise=False)
    read = counted(made)
    queries = cut(model.tokenizer, QUERIES, QUERY)
    assert queries != QUERIES
    for rows in (ROWS[:4], ROWS[4:], ROWS[2:5], ROWS[:1], ROWS):
        batch = made(rows)
        texts = [
            (queries[row["query"]], DOCUMENTS[at]) for row in rows for at in [*row.values()][1:]
        ]
        pairs = list(zip(batch["query"], batch["document"], strict=True))
        assert pairs == texts
        for places in (slice(None), slice(0, 2), slice(1, 3)):
            found, wanted = (
                model.preprocess(pairs[places], prompt=None, task=None),
                whole(model, texts[places]),
            )
            assert set(found) == set(wanted)
            for name, value in wanted.items():
                same = torch.equal if isinstance(value, torch.Tensor) else lambda a, b: a == b
                assert same(found[name], value), name
    assert read == [12, 6]


def test_other_pairs_and_other_lengths_are_read_by_the_model(model: Any) -> None:
    whole = type(model).preprocess
    batch = collator(model, listwise=False)(ROWS[:2])
    document = batch["document"][0]
    for inputs, options in (
        ([(batch["query"][3], document)], {}),
        ([("which owl", document)], {}),
        ([(batch["query"][0], document)], {"max_length": 9}),
        ([("which owl", "owl")], {}),
    ):
        found, wanted = model.preprocess(inputs, **options), whole(model, inputs, **options)
        assert torch.equal(found["input_ids"], wanted["input_ids"])


@pytest.mark.parametrize("objective", ["bce", "contrastive", "listnet", "lambda"])
def test_losses_are_those_of_texts(objective: str, tmp_path: Path) -> None:
    recipe = TrainRerankerRecipe(dataset="pets", objective=objective)
    model = encoder(tmp_path).eval()
    made = collator(model, listwise=not recipe.chosen_objective.pointwise)
    read = counted(made)
    batch = made(ROWS)
    loss = reranker_loss(model, recipe)

    def of(texts: Callable[[Any], Any]) -> float:
        inputs = [texts(one) for name, one in batch.items() if name != "label"]
        return float(loss(inputs, batch["label"]).detach())

    def plain(texts: Any) -> Any:
        return [plain(one) for one in texts] if isinstance(texts, list) else "".join(texts)

    found = of(lambda texts: texts)
    assert read == [18]
    del model.preprocess
    assert found == of(plain)


def test_without_room_pairs_are_read_once_a_batch(tmp_path: Path) -> None:
    model = encoder(tmp_path)
    made = collator(model, listwise=False)
    made.tokens.room = 1
    read = counted(made)
    for _ in range(2):
        batch = made(ROWS)
        pairs = list(zip(batch["query"], batch["document"], strict=True))
        found = model.preprocess(pairs)
        texts = [(str(query), str(text)) for query, text in pairs]
        assert torch.equal(found["input_ids"], type(model).preprocess(model, texts)["input_ids"])
    assert read == [18, 18]


def test_wrong_documents_are_drawn_anew_in_each_epoch() -> None:
    wrong = [f"{animal} in the wood" for animal in ANIMALS[:8]]
    queries = [
        (f"which {one}", [f"here is {one}"], wrong[:at]) for at, one in enumerate(ANIMALS[:6])
    ]
    reader: Any = FakeReader({"train": queries})
    recipe = TrainRerankerRecipe(dataset="pets", negatives=3, epochs=2.0, first_stage="bm25")
    rows = candidate_rows(reader, recipe, None)
    assert (rows.width, rows.draws, len(rows)) == (3, 2, 6)
    short = recipe.model_copy(update={"max_steps": 3, "batch_size": 2})
    assert candidate_rows(reader, short, None).draws == 1
    first, second = rows.drawn(0), rows.drawn(1)
    assert (first != second).any() and (first >= 0).all() and (second >= 0).all()
    # Of given ones the next come first; the last row has five.
    given = set(reader.candidates("train").to_pandas().query("query == 5")["document"])
    assert set(first[5]) | set(second[5]) == given
    assert not set(rows.negatives[5]) & set(rows.relevant[5])
    again = candidate_rows(reader, recipe, None)
    assert again.negatives.tolist() == rows.negatives.tolist()


class Encoder:
    """An encoder by hand: each document's vector is (its number, 1), each query's is (1, 0)."""

    contract = Contract()

    def encode(self, texts: list[str], role: str, **_: Any) -> Any:
        if role == "query":
            return np.tile(np.array([1.0, 0.0], np.float32), (len(texts), 1))
        return np.array([[float(text.split()[-1]), 1.0] for text in texts], np.float32)


class Counter:
    """Four tokens in ten are unknown."""

    special = 2

    def unknown(self, texts: list[str]) -> Any:
        return np.full(len(texts), 12), np.full(len(texts), 4)


def checked(numbers: list[int], given: list[str] | None = None, counter: Any = None) -> Any:
    """A query whose relevant document scores 100, and others that score these numbers."""
    right, wrong = ["cat dog 100"], [f"cat dog {number}" for number in numbers]
    others = [(f"which dog {at}", [text], []) for at, text in enumerate(wrong)]
    # Documents that belong to no training query, as most of a collection's do.
    reader: Any = FakeReader({"train": [("which cat", right, given or [])], "test": others})
    recipe = TrainRerankerRecipe(dataset="pets", negatives=2, first_stage="bm25")
    rows = candidate_rows(reader, recipe, None, Teacher("a teacher", Encoder(), counter))
    texts = reader.documents_at(range(reader.counts["documents"]))["text"].to_pylist()
    return {texts[row] for row in rows.negatives.ravel()}, rows.notes


def test_a_teacher_leaves_out_what_is_probably_an_answer() -> None:
    chosen, notes = checked([10, 20, 30, 96, 94, 120])
    assert chosen <= {f"cat dog {number}" for number in (10, 20, 30, 94)}
    [said] = [one for one in notes if "left out" in one]
    assert said.startswith("2 of 6 documents") and "a teacher scores them within 5%" in said


def test_a_teacher_leaves_what_the_data_gives() -> None:
    chosen, notes = checked([10, 20, 30, 120], given=["cat dog 120"])
    assert "cat dog 120" in chosen and not any("left out" in one for one in notes)


def test_a_teacher_that_takes_most_for_answers_is_not_believed() -> None:
    chosen, notes = checked([96, 97, 120, 10])
    assert any("name another teacher" in one for one in notes)
    assert any("takes 75%" in one for one in notes) and len(chosen) == 2


def test_a_teacher_that_cannot_read_the_texts_says_nothing() -> None:
    counter = Counter()
    _, notes = checked([10, 20, 30, 96, 94, 120], counter=counter)
    assert any("does not know 40% of the documents' tokens" in one for one in notes)
    assert not any("probably answers" in one for one in notes)
