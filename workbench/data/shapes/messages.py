"""ms-swift's conversations: ``messages, positive_messages, negative_messages``, or a ``label``.

The query is what the user says last; what the system says is its prompt. Each positive and each
negative is a conversation of its own, and its last message is the document.
"""

from dataclasses import dataclass
from typing import Any

from workbench.data.formats.jsonrows import describe
from workbench.data.problems import Report
from workbench.data.shapes.columns import Columns, Labels
from workbench.data.shapes.list_reader import ListReader
from workbench.data.shapes.row import Pair, Plan, Row
from workbench.data.shapes.scored import PairReader
from workbench.data.shapes.shape import Shape, plan_for, refused

QUERY = "messages"
POSITIVE = "positive_messages"
NEGATIVES = ("negative_messages", "rejected_messages")


@dataclass(frozen=True, slots=True)
class MessagesReader:
    """Takes the texts out of the conversations, and leaves the rest to a reader of plain rows."""

    plain: ListReader | PairReader

    def __call__(self, row: dict[str, Any], report: Report) -> Row | Pair | None:
        prompt = _said(row.get(QUERY), "system")
        bare: dict[str, Any] = {**row, QUERY: _query(row.get(QUERY), report)}
        if bare[QUERY] is None:
            return None
        for name in (POSITIVE, *NEGATIVES):
            if name in row:
                bare[name] = _documents(row[name])
        if isinstance(self.plain, PairReader):
            texts = bare.get(POSITIVE)
            if isinstance(texts, list) and len(texts) == 1:
                bare[POSITIVE] = texts[0]
            return self.plain(bare, report)
        found = self.plain(bare, report)
        if found is not None and isinstance(prompt, str) and not found.prompt:
            found.prompt = prompt
        return found


def _query(value: Any, report: Report) -> Any:
    """The user's last words; None, with the reason reported, where there are none."""
    if not _is_conversation(value):
        detail = f"{describe(value)}, where a list of messages is needed"
        report.add("wrong-type", None, QUERY, detail=detail)
        return None
    found = _said(value, "user")
    if found is None:
        report.add("missing-field", None, QUERY, detail="a message of the role 'user'")
    return found


def _documents(value: Any) -> Any:
    """The text of each conversation; anything else stays, and the plain reader says what it is."""
    if _is_conversation(value):
        return [_content(value[-1])] if value else []
    if not isinstance(value, list):
        return value
    return [_content(one[-1]) if _is_conversation(one) and one else one for one in value]


def _is_conversation(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(one, dict) and "content" in one for one in value
    )


def _said(value: Any, role: str) -> Any:
    """The content of the last message of a role; None where there is none."""
    if not _is_conversation(value):
        return None
    return next((_content(one) for one in reversed(value) if one.get("role") == role), None)


def _content(message: dict[str, Any]) -> Any:
    """A message's text; parts that are all text become one."""
    content = message["content"]
    if isinstance(content, list) and content:
        parts = [one.get("text") if isinstance(one, dict) else one for one in content]
        if all(isinstance(part, str) for part in parts):
            return "\n".join(map(str, parts))
    return content


def _plan(columns: Columns) -> Plan | None:
    names = columns.names
    if QUERY not in names or columns.query is not None:
        return None
    if not {POSITIVE, *NEGATIVES} & names.keys():
        return refused(
            "The column 'messages' holds a conversation, and nothing says what is relevant to it.",
            "Add the relevant texts as positive_messages, or give each row a query and a positive.",
        )
    if any(names[name] != name for name in (QUERY, POSITIVE, *NEGATIVES) if name in names):
        return None
    negatives = tuple(name for name in NEGATIVES if name in names)
    score = columns.score
    if score is not None and POSITIVE in names and not negatives:
        labels = Labels.of(columns.values(score))
        pairs = MessagesReader(PairReader(QUERY, POSITIVE, score, labels))
        used = {QUERY, POSITIVE, score}
        return plan_for("scored-pairs", pairs, columns, used, family="pairs")
    id = columns.query_id(QUERY)
    plain = ListReader(QUERY, (POSITIVE,), negatives, query_id=id)
    return plan_for("messages", MessagesReader(plain), columns, plain.columns)


SHAPE = Shape(
    "messages",
    "messages, positive_messages, negative_messages (conversations of {role, content}); messages, "
    "positive_messages, label",
    "ms-swift",
    order=5,
    plan=_plan,
)
