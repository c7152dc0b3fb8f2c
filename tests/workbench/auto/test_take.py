"""The look at the data: what is measured, on what, and how often."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from tests.workbench.training.fakes import FakeReader
from workbench.auto import look_pool, take
from workbench.auto.look import Look, serving_length, training_length, warnings
from workbench.auto.look_pool import pool_of
from workbench.auto.take import lengths_worth_trying, taken
from workbench.data_check.lengths import TokenCounter
from workbench.errors import BadInput, JobCancelled
from workbench.evaluation.measure import measure
from workbench.models.contract import Contract
from workbench.models.resolve import ResolvedModel

Query = tuple[str, list[str], list[str]]


@dataclass(frozen=True)
class BagOfWords:
    """Reads as many words as its contract says: a vector of how often each is there."""

    contract: Contract
    read: list[tuple[str, int]] = field(default_factory=list)

    def with_contract(self, contract: Contract) -> "BagOfWords":
        return replace(self, contract=contract)

    def encode(
        self, texts: list[str], role: Any, *, progress: Any = None, stop: Any = None
    ) -> np.ndarray:
        length = self.contract.passage_max_len if role == "document" else 512
        self.read.extend((role, length) for _ in texts)
        found = np.zeros((len(texts), 4096), np.float32)
        for at, text in enumerate(texts):
            if stop:
                stop()
            for word in text.split()[:length]:
                found[at, zlib.crc32(word.encode()) % 4096] += 1
        if progress:
            progress(len(texts), len(texts))
        return found / np.linalg.norm(found, axis=1, keepdims=True)


def encoder(own: int = 128) -> BagOfWords:
    return BagOfWords(Contract(passage_max_len=own, query_max_len=64))


def counter(folder: Path, words: str = "filler answer ask") -> tuple[TokenCounter, int]:
    """Words as tokens; all others are unknown."""
    known = {word: at for at, word in enumerate(["[UNK]", *words.split()])}
    tokenizer = Tokenizer(models.WordLevel(known, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(folder / "tokenizer.json"))
    return TokenCounter(folder / "tokenizer.json"), 512


def answers_at(word: int, queries: int = 40) -> list[Query]:
    """Documents of 300 words, of which one decides: it stands at that place."""
    found = []
    for n in range(queries):
        words = ["filler"] * 300
        words[word] = f"w{n}"
        words[0] = f"d{(n * 7) % queries}"  # Misleads: it is another query's word.
        found.append((f"ask w{n} d{n}", [" ".join(words)], []))
    return found


def test_the_length_that_reads_the_answers_is_measured_and_taken(tmp_path: Path) -> None:
    reader = FakeReader({"train": answers_at(200)})
    look = take.take(reader, encoder(128), counter=counter(tmp_path))  # type: ignore[arg-type]
    assert sorted(look.values) == [128, 256, 512]
    assert look.map(256) > look.map(128) + 0.2
    decision = serving_length(look)
    assert (decision.value, decision.by) == (256, "measured")
    better, own = (f"{look.map(length):.3f}"[1:] for length in (256, 128))
    said = f"base MAP on your queries {better} at 256 tokens against {own} at 128, its own length"
    assert decision.reason == said


def test_where_a_shorter_length_is_ahead_no_longer_one_is_tried(tmp_path: Path) -> None:
    train = []
    for n in range(40):
        words = ["filler"] * 600
        words[60] = f"w{n}"
        words[150:180] = [f"w{(n + 1) % 40}"] * 30  # Misleads whoever reads so far.
        train.append((f"ask w{n}", [" ".join(words)], []))
    look = take.take(FakeReader({"train": train}), encoder(256), counter=counter(tmp_path))  # type: ignore[arg-type]
    assert sorted(look.values) == [128, 256]
    assert look.trials == {}
    assert look.map(128) > look.map(256) + 0.2
    assert serving_length(look).value == 128


def test_what_is_measured_is_what_an_evaluation_measures(tmp_path: Path) -> None:
    reader: Any = FakeReader({"train": answers_at(200)})
    look = take.take(reader, encoder(128), counter=counter(tmp_path))
    pool = pool_of(reader, look.queries, look.rows)
    assert pool.queries.tolist() == look.queries.tolist()
    for length, values in look.values.items():
        plain = measure(encoder(length), pool).scores.values["map@100"]
        assert np.allclose(values, plain)


def test_texts_that_a_length_does_not_cut_are_encoded_once(tmp_path: Path) -> None:
    short = [(f"ask s{n}", [f"answer s{n}"], []) for n in range(20)]
    base = encoder(128)
    take.take(FakeReader({"train": answers_at(200) + short}), base, counter=counter(tmp_path))  # type: ignore[arg-type]
    documents = [length for role, length in base.read if role == "document"]
    assert documents == [128] * 60 + [256] * 40 + [512] * 40
    assert sum(role == "query" for role, _ in base.read) == 60


def test_queries_of_test_are_never_asked(tmp_path: Path) -> None:
    splits = {"train": answers_at(10, 8), "dev": [("ask dev", ["answer dev"], [])]}
    test = [("ask test", ["answer test"], [])]
    look = take.take(FakeReader({**splits, "test": test}), encoder(), counter=counter(tmp_path))  # type: ignore[arg-type]
    assert look.queries.tolist() == list(range(9)) == sorted(look.words)
    with pytest.raises(BadInput, match="no train or dev queries"):
        take.take(FakeReader({"test": test}), encoder(), counter=None)  # type: ignore[arg-type]


RED: list[Query] = [
    ("red cat", ["the red cat", "the red cat sleeps"], []),
    ("red dog", ["the red dog"], []),
    ("blue ant", ["one blue ant"], []),
    # Says what a relevant document of the first query says, under another row.
    ("old cat", ["an old cat", "The  red CAT"], []),
    ("the red dog", ["dogs"], []),
]


def test_what_words_find_is_near_and_never_right() -> None:
    reader: Any = FakeReader({"train": RED})
    look = take.take(reader, encoder(), counter=None)
    texts = reader.documents_at(range(reader.counts["documents"]))["text"].to_pylist()
    first = [texts[row] for row in look.words[0].tolist()]
    assert first[0] == "the red dog"
    assert not {"the red cat", "the red cat sleeps", "The  red CAT"} & set(first)
    itself = [texts[row] for row in look.words[4].tolist()]
    assert "the red dog" not in itself, "the query itself is no wrong answer to it"


def test_what_is_mined_is_below_every_relevant_document_and_never_right() -> None:
    train: list[Query] = [
        # By the words that query and document share: three of four, two, one.
        ("a b c d", ["a b c x"], []),
        ("e f g h", ["a b y1 y2"], []),
        ("i j k l", ["a z1 z2 z3"], []),
        # Ranked as high as the first query's answer, so it may be one.
        ("m n o p", ["a b c w"], []),
        # The same words as the first query: its answer is right for both.
        ("A b c  d", ["b c v1 v2"], []),
        # Nothing is below what is not found at all.
        ("a b", ["nothing of it"], []),
    ]
    reader: Any = FakeReader({"train": train})
    look = take.take(reader, encoder(), counter=None)
    texts = reader.documents_at(range(reader.counts["documents"]))["text"].to_pylist()
    mined = {row: [texts[one] for one in found.tolist()] for row, found in look.mined.items()}
    assert mined[0][:2] == ["a b y1 y2", "a z1 z2 z3"]
    assert not {"a b c x", "a b c w", "b c v1 v2"} & set(mined[0])
    assert mined[5] == []


def test_what_is_mined_is_near_at_the_length_that_is_served(tmp_path: Path) -> None:
    """The first word of a document misleads who reads no further."""
    look = take.take(
        FakeReader({"train": answers_at(200)}), encoder(128), counter=counter(tmp_path)
    )  # type: ignore[arg-type]
    assert serving_length(look).value == 256
    # Read at 256 the misleading document is half as near as the right one; at 128 it is first.
    assert all(len(found) for found in look.mined.values())


def test_queries_that_share_a_document_are_one_cluster() -> None:
    train = [("a", ["one", "two"], []), ("b", ["two", "three"], []), ("c", ["four"], [])]
    train += [("d", ["three"], []), ("e", ["five"], []), ("f", ["six"], []), ("g", ["seven"], [])]
    look = take.take(FakeReader({"train": train}), encoder(), counter=None)  # type: ignore[arg-type]
    a, b, c, d, e, *_ = look.clusters.tolist()
    assert a == b == d
    assert len({a, c, e}) == 3
    assert look.positives.tolist() == [2, 2, 1, 1, 1, 1, 1]


def test_a_chain_that_joins_all_queries_is_cut_as_in_every_other_test() -> None:
    """Each shares a document with the next: as one cluster nothing could be told of them."""
    train = [(f"ask {n}", [f"link {n}", f"link {n + 1}"], []) for n in range(40)]
    look = take.take(FakeReader({"train": train}), encoder(), counter=None)  # type: ignore[arg-type]
    assert np.bincount(look.clusters).max() <= 2


def test_a_large_collection_is_searched_where_it_is_hard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Relevant documents, then what BM25 finds; a length that is no better on a part of it is not
    measured on the rest."""
    monkeypatch.setattr(look_pool, "WHOLE", 50)
    monkeypatch.setattr(look_pool, "DOCUMENTS", 60)
    monkeypatch.setattr(take, "PART", 30)
    near = [(f"ask n{n}", [f"answer n{n}"], [f"nearly n{n}"]) for n in range(20)]
    far: list[Query] = [("unjudged", [], [f"far {n}" for n in range(200)])]
    long = answers_at(60, 20)
    reader: Any = FakeReader({"train": near + far + long})
    base = encoder(128)
    look = take.take(reader, base, counter=counter(tmp_path))
    texts = reader.documents_at(look.rows.tolist())["text"].to_pylist()
    assert look.documents <= 60
    assert look.corpus == 260
    assert {f"answer n{n}" for n in range(20)} < set(texts)
    assert {f"nearly n{n}" for n in range(20)} < set(texts)
    assert not any(text.startswith("far") for text in texts)
    # Everything of the long ones stands in their first 128 words.
    assert list(look.values) == [128]
    assert [*look.trials] == [256], "nor is one beyond it tried"
    assert serving_length(look).value == 128


def test_fewer_queries_are_asked_where_they_have_many_relevant_documents(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(look_pool, "WHOLE", 10)
    monkeypatch.setattr(look_pool, "DOCUMENTS", 30)
    train = [(f"q{n}", [f"answer {n} {m}" for m in range(10)], []) for n in range(9)]
    look = take.take(FakeReader({"train": train}), encoder(), counter=None)  # type: ignore[arg-type]
    assert len(look.queries) == 2
    assert look.documents <= 30
    assert sorted(look.words) == list(range(9)), "the others have BM25's"
    assert set(look.mined) <= set(look.queries.tolist())


def test_stopping_stops() -> None:
    def stop() -> None:
        raise JobCancelled("Stopped.")

    with pytest.raises(JobCancelled):
        take.take(FakeReader({"train": answers_at(1, 4)}), encoder(), counter=None, stop=stop)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("own", "positions", "counts", "expected"),
    [
        (256, 512, [300] * 10, [128, 512]),
        (256, 256, [300] * 10, [128]),
        (256, 512, [100] * 10, []),
        (512, 512, [200] * 10, [128]),
        (128, 512, [200] * 10, [256]),
        (8192, 8192, [1000] * 10, [128, 256, 512]),
        (256, 512, [100] * 99 + [600], []),
        (256, 512, None, [128, 512]),
    ],
)
def test_only_lengths_that_cut_otherwise_are_tried(
    own: int, positions: int, counts: list[int] | None, expected: list[int]
) -> None:
    told = None if counts is None else np.array(counts)
    assert lengths_worth_trying(own, positions, told) == expected


# -- kept ----------------------------------------------------------------------------------------


class Taking:
    """A job that looks, in a home; counts what it loads."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home, self.loads = home, 0
        self.reader: Any = FakeReader({"train": answers_at(200)})
        (home / "model").mkdir()
        (home / "model" / "model.safetensors").write_bytes(b"weights")
        (home / "count").mkdir()
        known = counter(home / "count")
        monkeypatch.setattr(take, "counter_of", lambda _model: known)

    def __call__(self, folder: str, **changed: Any) -> Look:
        contract = Contract(passage_max_len=128, **changed)

        def load() -> Any:
            self.loads += 1
            return BagOfWords(contract)

        model = ResolvedModel("tiny", str(self.home / "model"), contract)
        about = {"home": self.home, "dataset_id": "set1", "folder": self.home / folder}
        return taken(self.reader, load, model, contract, **about)


def alike(one: Look, other: Look) -> bool:
    arrays: list[Callable[[Look], Any]] = [
        lambda look: look.queries,
        lambda look: look.clusters,
        lambda look: look.bm25,
        lambda look: look.rows,
        lambda look: look.positives,
    ]
    same = all(np.array_equal(get(one), get(other)) for get in arrays)
    values = all(np.array_equal(one.values[n], other.values[n]) for n in one.values)
    mined = {n: rows.tolist() for n, rows in one.mined.items()}
    held = mined == {n: rows.tolist() for n, rows in other.mined.items()}
    words = {n: rows.tolist() for n, rows in one.words.items()}
    held = held and words == {n: rows.tolist() for n, rows in other.words.items()}
    return same and values and held and one.summary() == other.summary()


def test_a_second_look_at_the_same_data_computes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looking = Taking(tmp_path, monkeypatch)
    first = looking("job1")
    assert looking.loads == 1
    second = looking("job2")
    assert looking.loads == 1
    assert alike(first, second)
    kept = Look.read(tmp_path / "job2")
    assert kept is not None
    assert alike(kept, first)
    assert kept.document_tokens == first.document_tokens
    assert serving_length(kept) == serving_length(first)
    assert training_length(kept) == training_length(first)


def test_a_resumed_job_reads_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looking = Taking(tmp_path, monkeypatch)
    first = looking("job1")
    for path in (tmp_path / take.FOLDER).rglob("*.json"):
        path.unlink()
    assert alike(looking("job1"), first)
    assert looking.loads == 1


def test_another_use_version_or_model_is_looked_at_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looking = Taking(tmp_path, monkeypatch)
    looking("job1")
    looking("job2", query_prompt="ask: ")
    looking.reader.version = 2
    looking("job3")
    (tmp_path / "model" / "model.safetensors").write_bytes(b"others!")
    looking("job4")
    assert looking.loads == 4


def test_looks_that_another_job_removes_meanwhile_are_no_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(take, "KEPT", 1)
    (tmp_path / take.FOLDER).mkdir(parents=True)
    gone = [tmp_path / take.FOLDER / "gone"]
    listed = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda folder: iter([*gone, *listed(folder)]))
    looking = Taking(tmp_path, monkeypatch)
    looking("job1")
    looking("job2", query_prompt="ask: ")
    gone.clear()
    assert len(list((tmp_path / take.FOLDER).iterdir())) == 1


def test_what_cannot_be_read_is_looked_at_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looking = Taking(tmp_path, monkeypatch)
    looking("job1")
    for path in tmp_path.rglob("look.npz"):
        path.write_bytes(path.read_bytes()[:100])
    looking("job1")
    assert looking.loads == 2


# -- what a person should know -------------------------------------------------------------------


def test_texts_that_the_base_cannot_read_are_told(tmp_path: Path) -> None:
    train = [
        (
            f"在北京的第{n}个问题是什么",
            [f"北京是中国的首都，有三千多年的历史，故宫和长城都很有名。这是第{n}个答案。"],
            [],
        )
        for n in range(12)
    ]
    look = take.take(FakeReader({"train": train}), encoder(), counter=counter(tmp_path))  # type: ignore[arg-type]
    assert look.unknown == 1.0
    (first, *_) = warnings(look)
    assert first.startswith("100% of your tokens are unknown to this model; BM25 alone has MAP ")
    assert "such as BAAI/bge-small-zh-v1.5, " in first
    assert "multilingual-e5" in first


def test_a_base_that_has_it_all_right_is_told(tmp_path: Path) -> None:
    train = [(f"w{n} v{n}", [f"w{n} v{n} answer"], []) for n in range(12)]
    known = " ".join(f"w{n} v{n}" for n in range(12)) + " answer"
    look = take.take(FakeReader({"train": train}), encoder(), counter=counter(tmp_path, known))  # type: ignore[arg-type]
    (said,) = warnings(look)
    assert said.startswith("This model has MAP 1.000 on your queries already")
