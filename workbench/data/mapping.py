"""Columns named by hand: which column of a file holds the query, the relevant text and so on."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.data.shapes.columns import OF_POSITIVE, meaning
from workbench.errors import BadInput

#: Role -> the name by which that column is known, and what it holds.
ROLES = {
    "query": "query", "positive": "positive", "negative": "negative", "label": "label",
    "left": "sentence1", "right": "sentence2", "id": "_id", "query_id": "query_id",
    "document_id": "doc_id", "title": "title", "text": "text", "prompt": "prompt",
    "picture": "picture",
}  # fmt: skip
#: Where columns without a role wait: the readers unpack it into the row's own.
_REST = "metadata"
#: Roles that say what a row is whatever else it holds.
_BOTH_TEXTS: tuple[set[str], ...] = (
    {"query", "positive"},
    {"query", "text"},
    {"query", "picture"},
    {"left", "right"},
)
#: Roles that several columns may have: their texts become one list.
_MANY = ("positive", "negative")
#: What people call such a column, in the languages we have met.
_WORDS = {
    "query": "query q question anchor search utterance input instruction frage anfrage suche "
    "pregunta consulta requête recherche domanda вопрос запрос 问题 问 提问 查询 問題 查詢 "
    "検索 質問 질문",
    "positive": "positive pos answer response reply passage document context output completion "
    "target relevant antwort treffer respuesta réponse risposta ответ 答案 回答 正例 相关 段落 "
    "답변",
    "negative": "negative neg irrelevant wrong falsch negativ negativo négatif 负例 負例 不相关",
    "label": "label score relevance grade rating similarity bewertung note punkte puntuación "
    "оценка 标签 分数 标注 評分 相似度",
    "id": "_id id docid doc_id nr nummer",
    "title": "title headline subject titel título titre заголовок 标题 標題",
    "text": "text content contents body chunk inhalt texto texte contenu текст 内容 正文 文本 內容",
}
#: A word that is as short as this must be the whole name.
_SHORT = 3


@dataclass(frozen=True, slots=True)
class ColumnMap:
    """(role, column) in the order they were given."""

    pairs: tuple[tuple[str, str], ...]

    def __bool__(self) -> bool:
        return bool(self.pairs)

    def applies(self, row: Mapping[str, Any]) -> bool:
        """Whether a row has any of the columns."""
        return any(column in row for _, column in self.pairs)

    def rename(self, row: dict[str, Any]) -> dict[str, Any]:
        """The row by its roles. What was not mapped is a document's own, or goes along packed, so
        that its name means nothing."""
        if not self.applies(row):
            return row
        out: dict[str, Any] = {}
        for role, column in self.pairs:
            if column in row:
                _put(out, role, row[column])
        roles = {role for role, _ in self.pairs}
        if "query" in roles and roles & {"positive", "text"} and "title" in out:
            # Said by hand: it is the relevant text's, whatever stands beside it.
            out[OF_POSITIVE[0]] = out.pop("title")
        taken = {column for _, column in self.pairs}
        rest = {name: value for name, value in row.items() if name not in taken}
        # Where both texts are named, no other column means anything by its name.
        if rest and any(both <= roles for both in _BOTH_TEXTS):
            return {**out, _REST: rest}
        return out | {name: value for name, value in rest.items() if name not in out}


def _put(out: dict[str, Any], role: str, value: Any) -> None:
    name = ROLES[role]
    if name not in out:
        out[name] = value
    elif value not in (None, ""):
        old = out[name] if isinstance(out[name], list) else [out[name]]
        more = value if isinstance(value, list) else [value]
        out[name] = [one for one in (*old, *more) if one not in (None, "")]


def read_map(said: Iterable[str]) -> ColumnMap:
    """``role=column`` texts; raises :class:`BadInput` for what is none."""
    pairs: list[tuple[str, str]] = []
    for one in said:
        role, equals, column = (part.strip() for part in one.partition("="))
        role = role.lower().replace("-", "_")
        if not equals or not column:
            raise BadInput(
                f"'{one}' names no column.", "Write ROLE=COLUMN, for example query=frage."
            )
        if role not in ROLES:
            close = difflib.get_close_matches(role, ROLES, n=1)
            meant = f"Did you mean '{close[0]}'? " if close else ""
            raise BadInput(
                f"A column cannot be a '{role}'.", f"{meant}The roles are: {', '.join(ROLES)}."
            )
        if role not in _MANY and role in dict(pairs):
            raise BadInput(
                f"Two columns are named as '{role}'.", "Only positive and negative can be several."
            )
        pairs.append((role, column))
    return ColumnMap(tuple(pairs))


def guess_roles(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """A role for each column that has a likely one: by its name, else by its texts' lengths."""
    columns = list(dict.fromkeys(str(name) for row in rows for name in row))
    found: dict[str, str] = {}
    given: set[str] = set()
    for column in columns:
        role = role_of(column)
        if role and (role in _MANY or role not in given):
            found[column] = role
            given.add(role)
    _by_length(rows, [column for column in columns if column not in found], found)
    if "positive" in found.values() and "query" not in found.values():
        return found
    if "query" in found.values() and "positive" not in found.values():
        text = next((column for column, role in found.items() if role == "text"), None)
        if text is not None:
            found[text] = "positive"
    return found


def map_words(rows: Sequence[Mapping[str, Any]]) -> str:
    """The mapping that the columns suggest, as a sentence; '' where they suggest none."""
    roles = guess_roles(rows)
    said = [(role, column) for column, role in roles.items() if ROLES[role] != column]
    if not {"query", "positive"} <= set(roles.values()) or not said:
        return ""
    words = " ".join(f"--map {role}={_quoted(column)}" for role, column in said)
    return f"Say which column holds what, perhaps: {words}."


def _quoted(column: str) -> str:
    return f"'{column}'" if " " in column else column


def is_column_word(name: str) -> bool:
    """Whether this very word is what people call a column that holds something known."""
    return any(name.strip().lower() in words.split() for words in _WORDS.values())


def role_of(column: str) -> str | None:
    """What a column of this name most likely holds."""
    name = column.strip().lower()
    for role, words in _WORDS.items():
        if name in words.split():
            return role
    for role, words in _WORDS.items():
        if any(word in name for word in words.split() if len(word) > _SHORT or not word.isascii()):
            return role
    found = meaning(column)
    return found.side if found is not None and found.holds == "texts" else None


def _by_length(
    rows: Sequence[Mapping[str, Any]], columns: list[str], found: dict[str, str]
) -> None:
    """Of two columns of text the shorter is more often the query."""
    lengths = {column: _mean([row.get(column) for row in rows]) for column in columns}
    texts = sorted((length, column) for column, length in lengths.items() if length > _SHORT)
    wanted = [role for role in ("query", "positive") if role not in found.values()]
    if "text" in found.values() or not texts:
        return
    if len(wanted) == 2 and len(texts) > 1:
        found[texts[0][1]], found[texts[-1][1]] = "query", "positive"
    elif len(wanted) == 1:
        found[texts[-1 if wanted[0] == "positive" else 0][1]] = wanted[0]


def _mean(values: Sequence[Any]) -> float:
    texts = [value for value in values if isinstance(value, str) and not _numeric(value)]
    return sum(map(len, texts)) / len(texts) if texts else 0.0


def _numeric(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
