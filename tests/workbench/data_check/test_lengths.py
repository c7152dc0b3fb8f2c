"""Tokens counted word by word are those of the whole text."""

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

from workbench.data_check.lengths import TokenCounter, splits_at_spaces
from workbench.models.registry import packaged_folder

WORDS = ["The", "kettle", " ", "  ", "\n", "don't", "[SEP]", "旧灯", "\u00a0", "\u0301", "x" * 120]
texts = st.lists(st.sampled_from(WORDS) | st.text(max_size=8), max_size=12).map(" ".join)


def unigram(*steps: normalizers.Normalizer, scheme: str = "always") -> Tokenizer:
    """As multilingual models have it: split at spaces, then marked where a word begins."""
    letters = [(letter, -3.0) for letter in "abcdefghijklmnopqrstuvwxyz"]
    pieces = [("<unk>", -9.0), ("▁", -2.0), ("▁the", -1.0), ("kettle", -1.0), *letters]
    made = Tokenizer(models.Unigram(pieces, unk_id=0))
    made.normalizer = normalizers.Sequence(list(steps))
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme=scheme)]
    )
    return made


def byte_level() -> Tokenizer:
    """As decoders have it: a space belongs to the word behind it."""
    letters = {one: at for at, one in enumerate(pre_tokenizers.ByteLevel.alphabet())}
    made = Tokenizer(models.BPE(letters, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    made.post_processor = processors.TemplateProcessing(
        single="$A <end>", special_tokens=[("<end>", 0)]
    )
    return made


@pytest.fixture(scope="module")
def packaged() -> tuple[TokenCounter, Tokenizer]:
    file = packaged_folder() / "tokenizer.json"
    whole = Tokenizer.from_file(str(file))
    whole.no_truncation()
    whole.no_padding()
    return TokenCounter(file), whole


@given(st.lists(texts, max_size=5))
@example(["", " ", "ﬁ \u0301", "\x1c a\x00b \u2028c", "[SEP][MASK] a[CLS]"])
def test_words_come_to_the_whole(
    packaged: tuple[TokenCounter, Tokenizer], several: list[str]
) -> None:
    counter, whole = packaged
    assert counter.count(several) == [len(whole.encode(text).ids) for text in several]


@pytest.mark.parametrize(
    ("tokenizer", "by_words"),
    [
        (unigram(normalizers.NFKC(), normalizers.Lowercase()), True),
        (unigram(normalizers.Replace("``", '"')), True),
        (unigram(normalizers.Replace("a b", "c")), False),
        (unigram(normalizers.Replace(Regex(" {2,}"), " ")), True),
        (unigram(normalizers.Replace(Regex(" {2,}"), "▁")), False),
        (unigram(normalizers.Prepend("▁")), False),
        (unigram(scheme="never"), True),
        (unigram(scheme="first"), False),
        (byte_level(), False),
    ],
)
def test_other_tokenizers(tokenizer: Tokenizer, by_words: bool, tmp_path: Path) -> None:
    assert splits_at_spaces(tokenizer) is by_words
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    several = ["the kettle", "The  kettle\n in a b the``harbour", "", " a", "a b c ", "x" * 50]
    counter = TokenCounter(tmp_path / "tokenizer.json")
    for _ in range(2):  # New words, and known ones.
        assert counter.count(several) == [len(tokenizer.encode(text).ids) for text in several]


def test_a_word_of_its_own_with_a_space() -> None:
    made = unigram()
    made.add_tokens([AddedToken("in a", normalized=False)])
    assert not splits_at_spaces(made)


def test_words_are_forgotten(
    packaged: tuple[TokenCounter, Tokenizer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.data_check.lengths._WORDS", 5)
    counter, whole = packaged
    for text in ("one two three four five six", "six seven", "two"):
        assert counter.count([text]) == [len(whole.encode(text).ids)]


def test_only_long_texts_are_counted(packaged: tuple[TokenCounter, Tokenizer]) -> None:
    counter, whole = packaged
    long = "kettle " * 30
    bytes_, tokens = counter.longer(["lamp", long], "query: ", 20).tolist()
    assert bytes_ <= 20
    assert tokens == len(whole.encode(f"query: {long}").ids)


def test_threads_are_as_before(packaged: tuple[TokenCounter, Tokenizer]) -> None:
    before = os.environ.get("TOKENIZERS_PARALLELISM")
    packaged[0].count(["an unheard word"])
    assert os.environ.get("TOKENIZERS_PARALLELISM") == before


def test_unknown_tokens_are_counted(packaged: tuple[TokenCounter, Tokenizer]) -> None:
    counter, _ = packaged
    lengths, unknown = counter.unknown(["the red cat", "🦙 🦜 cat"])
    assert lengths.tolist() == [5, 5]
    assert unknown.tolist() == [0, 2]


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (models.Unigram([("<unk>", 0.0), ("a", -1.0), ("b", -1.0)], 0, False), [0, 1]),
        (models.WordLevel({"ab": 0, "[UNK]": 1}, "[UNK]"), [0, 1]),
        (models.BPE({"a": 0, "b": 1, "z": 2}, []), [0, 0]),
    ],
)
def test_every_kind_of_tokenizer_says_what_it_does_not_know(
    model: Any, expected: list[int], tmp_path: Path
) -> None:
    Tokenizer(model).save(str(tmp_path / "tokenizer.json"))
    _, unknown = TokenCounter(tmp_path / "tokenizer.json").unknown(["ab", "z"])
    assert unknown.tolist() == expected
