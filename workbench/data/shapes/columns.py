"""What a row's columns are for, told by the words of their names.

'hardNegatives', 'neg_passages' and 'rejected_response_2' hold negatives; 'positive_ids' and
'neg_score' say something of documents without being their texts.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

# Labels that are words: true and false, yes and no, relevant and irrelevant, entailment.
#
# A label becomes a number: 0 for what is not relevant, 1 and more for what is. 'partially
# relevant' moves the labels above it up by one where a file has it.

#: Scores beyond this are not kept: they are stored as 32-bit floats.
_LARGEST = 3e38
_ZERO = frozenset(
    (
        *("false", "no", "n", "f", "irrelevant", "not relevant", "non relevant", "nonrelevant"),
        *("unrelated", "not related", "not duplicate", "non duplicate", "no duplicate"),
        *("different", "not paraphrase", "non paraphrase", "not equivalent", "dissimilar"),
        *("not similar", "no match", "mismatch", "negative", "neg", "incorrect", "wrong"),
        *("contradiction", "not entailment", "non entailment", "not answer", "rejected"),
        *("nein", "否", "假", "错", "错误", "不相关", "无关"),
    )
)
_ONE = frozenset(
    (
        *("true", "yes", "y", "t", "relevant", "related", "duplicate", "duplicated", "same"),
        *("paraphrase", "equivalent", "similar", "match", "positive", "pos", "correct", "right"),
        *("entailment", "entailed", "answer", "accepted"),
        *("ja", "是", "真", "对", "正确", "相关"),
    )
)
_PARTLY = ("partially", "partly", "somewhat", "marginally", "slightly")
_MORE = ("highly", "very")
_MOST = ("perfectly",)
NEUTRAL = "neutral"
_INFERENCE = frozenset(("entailment", "contradiction", "not entailment", NEUTRAL))


@dataclass(frozen=True, slots=True)
class Labels:
    """How the labels of one file are read. ``partly``: it has 'partially relevant' too."""

    partly: bool = False

    @classmethod
    def of(cls, values: Iterable[Any]) -> "Labels":
        """As these values of the file ask for."""
        return cls(any(_level(_plain(one)) == "partly" for one in values if isinstance(one, str)))

    def number(self, value: Any) -> float | None:
        """A finite number, also one written as text ('0.5', '0,5') or as a word; else None."""
        found = label_number(value)
        if found is not None or not isinstance(value, str):
            return found
        level = _level(_plain(value))
        levels = {"partly": 1.0, "more": 2.0, "most": 3.0}
        if level is None or (level == "partly" and not self.partly):
            return None
        return levels[level] + (self.partly and level != "partly")

    def grade(self, value: Any) -> float | None:
        """As :meth:`number`, where 'relevant' stands above 'partially relevant'."""
        found = self.number(value)
        lifted = self.partly and found == 1 and isinstance(value, str) and _plain(value) in _ONE
        return 2.0 if lifted else found


#: Where no file says otherwise.
PLAIN = Labels()


def label_number(value: Any) -> float | None:
    """The number a value is, is written as, or means as a word; None for anything else."""
    if isinstance(value, str):
        word = _plain(value)
        if word in _ZERO or word in _ONE:
            return float(word in _ONE)
        with suppress(ValueError):
            value = float(value.strip().replace(",", "."))
    if isinstance(value, bool):
        return float(value)
    if not isinstance(value, int | float):
        return None
    with suppress(OverflowError):
        if math.isfinite(value) and abs(float(value)) < _LARGEST:
            return float(value)
    return None


def is_label(value: Any) -> bool:
    """Whether a value says how good something is: a number or a word that stands for one."""
    if label_number(value) is not None:
        return True
    return isinstance(value, str) and (is_neutral(value) or _level(_plain(value)) is not None)


def is_neutral(value: Any) -> bool:
    """NLI's third label: neither relevant nor its opposite."""
    return isinstance(value, str) and _plain(value) == NEUTRAL


def are_inferences(values: Iterable[Any]) -> bool:
    """Whether these are the labels of natural language inference."""
    words = {_plain(one) for one in values if isinstance(one, str)}
    return bool(words & _INFERENCE)


def _plain(text: str) -> str:
    return " ".join(text.replace("_", " ").replace("-", " ").casefold().split())


def _level(word: str) -> str | None:
    how, _, what = word.partition(" ")
    if what not in ("relevant", "related", "similar", "correct"):
        return None
    for level, words in (("partly", _PARTLY), ("more", _MORE), ("most", _MOST)):
        if how in words:
            return level
    return None


#: Names of the relevant text's own title. The first is what a mapping makes of a title.
OF_POSITIVE = ("pos_title", "positive_title", "passage_title", "document_title", "doc_title")
#: Names of a query's column, the first found wins. Compared in lower case.
QUERY = (
    "query", "question", "anchor", "queries", "search_query", "query_text", "question_text",
    "sentence1", "q",
)  # fmt: skip
POSITIVE = (
    "pos", "positive", "positives", "positive_passages", "positive_ctxs", "positive_texts",
    "relevant",
)  # fmt: skip
NEGATIVE = (
    "neg", "negative", "negatives", "negative_passages", "hard_negative_ctxs", "negative_ctxs",
    "hard_negatives", "hard_negative",
)  # fmt: skip
#: What a retriever found, each with how good it is.
HITS = ("hits", "ctxs")
#: Second columns of plain pairs; a score beside them makes another shape of it.
PAIRED = (
    "passage", "passages", "document", "doc", "answer", "response", "context", "sentence2",
    "text", "content", "title", "contents",
)  # fmt: skip
#: Names of two texts of which neither is the query.
SIDES = (
    ("sentence1", "sentence2"),
    ("sentence_1", "sentence_2"),
    ("sentence_a", "sentence_b"),
    ("text1", "text2"),
    ("text_1", "text_2"),
    ("text_a", "text_b"),
    ("question1", "question2"),
    ("question_1", "question_2"),
    ("question_a", "question_b"),
    ("query1", "query2"),
    ("premise", "hypothesis"),
    ("sent1", "sent2"),
    ("text", "text_pair"),
    ("q1", "q2"),
    ("s1", "s2"),
    ("left", "right"),
)
#: A list of texts that are relevant only as far as a list of labels beside it says so.
LISTED = ("documents", "docs", "texts", "candidates", "contexts")
SCORES = (
    *("label", "labels", "score", "scores", "similarity", "similarity_score", "grade"),
    "relevance",
)
QUERY_ID = ("query_id", "query-id", "qid", "question_id", "_id", "id")
DOCUMENT_ID = ("doc_id", "docid", "document_id", "corpus_id", "corpus-id", "passage_id", "pid")

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_A-Za-z]+[^\W\d_]*")
#: Words that are written without a mark between them: 'hardneg', 'negdocs'.
_GLUED = re.compile(
    r"(hard|soft|easy|random)?(neg|negative|pos|positive)s?"
    r"(passage|doc|document|text|ctx|context|response|answer|id|score|label|title)?(s?)"
)


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_NEGATIVE = _set(
    "neg negative negativ negativo negativa negatif négatif reject rejected rejection distractor "
    "distracter irrelevant nonrelevant unrelated decoy wrong incorrect bad dispreferred "
    "foil falsch 负例 負例 负样本 負樣本 不相关"
)
_POSITIVE = _set("pos positive relevant chosen correct gold golden accepted preferred 正例 正样本")
_NOT = _set("non not")
_IDS = _set("id idx index indices docid pid key uuid")
_SCORES = _set("score sim similarity similarities logit prob probability margin weight")
#: What is said of a text and is none.
_ABOUT = _set(
    "label title url link count num number n nb len length size rank type kind source origin lang "
    "language split ratio rate share meta metadata prompt instruction embedding emb vector token "
    "has is image picture audio video path file date time by from method strategy reason "
    "explanation comment flag mask span start end offset author feedback"
)
#: Words of a column with labels or scores: at least one of the first, all of both.
_SCORED = _set(
    "label score grade relevance relevancy relevant similarity similar duplicate paraphrase rating "
    "judgment judgement match relatedness dup entailment sim"
)
_OF_SCORES = _set(
    "is gold human avg average mean final the text pair query doc cosine cos norm normalized binary"
)


#: A name of more words is a sentence, in which a word like 'wrong' tells nothing of the column.
_MOST_WORDS = 6


@dataclass(frozen=True, slots=True)
class Meaning:
    """``side``: 'positive' or 'negative'; ``holds``: 'texts', 'ids', 'scores' or 'other'."""

    side: str
    holds: str


def words_of(name: str) -> tuple[str, ...]:
    """The words of a column's name, in lower case and without a plural's s."""
    plain = re.sub(r"\bIDs\b|(?<=[a-z])IDs\b", "Ids", name)
    return tuple(_singular(word.lower()) for word in _WORD.findall(plain))


def is_id(name: str) -> bool:
    """Whether a column's name says that it holds ids: 'doc_id', '_id', 'documentId'."""
    words = words_of(name)
    return bool(words) and words[-1] in _IDS


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 2 and word.endswith("s") and word not in ("pos", "is") else word


@lru_cache(maxsize=65_536)
def meaning(name: str) -> Meaning | None:
    """What a column of positives or negatives holds by its name; None for any other column."""
    words = [part for word in words_of(name) for part in _unglued(word)]
    side = _side(words) if len(words) <= _MOST_WORDS else None
    if side is None:
        return None
    if set(words) & _IDS:
        return Meaning(side, "ids")
    if set(words) & _SCORES:
        return Meaning(side, "scores")
    return Meaning(side, "other" if set(words) & _ABOUT else "texts")


def _unglued(word: str) -> list[str]:
    match = _GLUED.fullmatch(word)
    return [part for part in match.groups()[:3] if part] if match else [word]


def _side(words: Sequence[str]) -> str | None:
    if set(words) & _NEGATIVE:
        return "negative"
    if not set(words) & _POSITIVE:
        return None
    return "negative" if set(words) & _NOT else "positive"


@lru_cache(maxsize=65_536)
def looks_like_scores(name: str) -> bool:
    """Whether a column of this name holds labels or scores of the row's texts."""
    words = set(words_of(name))
    return bool(words & _SCORED) and words <= _SCORED | _OF_SCORES


class Columns:
    """A row's columns. ``seen`` are rows from the file's beginning: they tell what a column holds
    where its name does not. ``scores``: 'pairs', 'grades' or 'auto', as an import is told."""

    def __init__(
        self, row: Mapping[str, Any], scores: str = "auto", seen: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        self.row = row
        self.scores = scores
        self.seen = seen
        #: Name in lower case -> the row's own name; the first of two that differ in case only.
        self.names: dict[str, str] = {str(key).strip().lower(): key for key in reversed(list(row))}

    def first(self, wanted: Iterable[str]) -> str | None:
        """The first of these names that the row has, as the row writes it."""
        return next((self.names[name] for name in wanted if name in self.names), None)

    @cached_property
    def query(self) -> str | None:
        return self.first(QUERY)

    def query_id(self, query: str) -> str | None:
        found = self.first(QUERY_ID)
        return found if found != query else None

    @property
    def sides(self) -> tuple[str, str] | None:
        """Two texts of which neither is the query."""
        both = ((a, b) for a, b in SIDES if a in self.names and b in self.names)
        return next(((self.names[a], self.names[b]) for a, b in both), None)

    @cached_property
    def positives(self) -> tuple[str, ...]:
        """All columns with relevant texts."""
        found = (self.names[name] for name in POSITIVE if name in self.names)
        known = [key for key in found if key != self._labels]
        return (*known, *(name for name in self._alike("positive") if name not in known))

    @cached_property
    def negatives(self) -> tuple[str, ...]:
        """All columns with texts that are not relevant."""
        known = [self.names[name] for name in NEGATIVE if name in self.names]
        return (*known, *(name for name in self._alike("negative") if name not in known))

    def _alike(self, side: str) -> list[str]:
        wanted = Meaning(side, "texts")
        return [
            key
            for key in self.row
            if meaning(str(key)) == wanted and key != self._labels and self.textual(key)
        ]

    def of_side(self, side: str, holds: str) -> str | None:
        """The column that says something of the documents of one side: their 'ids', 'scores'."""
        wanted = Meaning(side, holds)
        return next((key for key in self.row if meaning(str(key)) == wanted), None)

    @cached_property
    def score(self) -> str | None:
        """The column that says how good the row's document is, or how alike its two texts are."""
        exact = self.first(SCORES)
        if exact is not None:
            return exact
        for key in self.row:
            if looks_like_scores(str(key)) and self.are_labels(key):
                return key
        return self._labels

    @cached_property
    def _labels(self) -> str | None:
        """A column such as 'relevant' or 'is_correct' whose values are labels and no texts, where
        another column has the text."""
        for key in self.row:
            found = meaning(str(key))
            may_be = found and found.side == "positive" and found.holds in ("texts", "other")
            values = self.values(key) if may_be else []
            if values and all(map(_is_flag, values)) and self._another_text(key):
                return key
        return None

    def _another_text(self, label: str) -> bool:
        if self.sides is not None or self.first(PAIRED) is not None:
            return True
        wanted = Meaning("positive", "texts")
        return any(meaning(str(key)) == wanted for key in self.row if key != label)

    def values(self, key: str) -> list[Any]:
        """What the column holds in the rows that were seen, where it holds anything."""
        every = (row.get(key) for row in (self.row, *self.seen))
        return [one for one in every if one is not None and one != ""]

    def are_labels(self, key: str) -> bool:
        """Whether the column holds scores or labels, as far as its values are known: one that is
        none ('-', 'unsure') costs its own row."""
        found = list(_flat(self.values(key)))
        return 2 * sum(map(is_label, found)) >= len(found)

    def textual(self, key: str) -> bool:
        """Whether the column can hold texts, as far as its values are known."""
        found = self.values(key)
        return not found or any(_is_text(one) for one in found)

    @cached_property
    def beside(self) -> str | None:
        """The one text that stands beside the query."""
        positive = next(iter(self.positives), None)
        if positive is not None:
            return positive
        texts = (self.names[name] for name in PAIRED if name in self.names)
        return next((key for key in texts if key != self.query), None)


def _flat(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        yield from value if isinstance(value, list) else [value]


def _is_flag(value: Any) -> bool:
    """Whether it says yes, no, or a small grade: a larger number may be an answer."""
    number = label_number(value)
    return number is not None and number in (0, 1, 2, 3)


def _is_text(value: Any) -> bool:
    """Whether it can be a document: a text that is no number, or a list or passage of texts."""
    if isinstance(value, str):
        return label_number(value) is None or not any(map(str.isdigit, value))
    if isinstance(value, list):
        return not value or any(map(_is_text, value))
    return isinstance(value, dict)
