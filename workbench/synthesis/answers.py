"""What was answered, kept line by line as it comes. A stopped job asks about the rest only."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.errors import EndpointFailed, WorkbenchError
from workbench.synthesis.questions import questions

ANSWERS = "answers.jsonl"
#: So many passages in a row that fail are no accident of theirs.
IN_A_ROW = 5
#: So many answers without one question say that the model does something else.
FRUITLESS = 10
_QUOTED = 300


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model wrote, and what that took, where it tells."""

    text: str
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


@dataclass
class Answers:
    """The answers of a job, on disk. ``wanted``: questions of a passage."""

    folder: Path
    wanted: int
    #: Document row -> its questions.
    questions: dict[int, list[str]] = field(default_factory=dict)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    #: Answers whose cost was not told.
    untold: int = 0
    #: Sentence -> passages that failed with it, in this attempt.
    failures: dict[str, int] = field(default_factory=dict)
    _in_a_row: int = 0
    _fruitless: int = 0

    def __post_init__(self) -> None:
        self._read()

    @property
    def path(self) -> Path:
        return self.folder / ANSWERS

    @property
    def failed(self) -> int:
        return sum(self.failures.values())

    @property
    def written(self) -> int:
        """Questions so far."""
        return sum(len(one) for one in self.questions.values())

    def add(self, row: int, answer: Answer) -> None:
        """Keep an answer at once; raises where answers hold nothing again and again."""
        found = questions(answer.text, self.wanted)
        line = {
            "document": row,
            "questions": found,
            "prompt_tokens": answer.prompt_tokens,
            "completion_tokens": answer.completion_tokens,
            # What was said instead, for a person to look at.
            **({} if found else {"answer": answer.text[:_QUOTED]}),
        }
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._count(line)
        self._in_a_row = 0
        self._fruitless = 0 if found else self._fruitless + 1
        if self._fruitless >= FRUITLESS and not self.written:
            raise EndpointFailed(
                f"The first {self._fruitless} answers hold no question. The last one began: "
                f"'{_quote(answer.text)}'.",
                "Try another model or template; a preview of a few passages shows what comes.",
            )

    def fail(self, error: WorkbenchError) -> None:
        """A passage stays without an answer; raises ``error`` where too many do."""
        self.failures[error.message] = self.failures.get(error.message, 0) + 1
        self._in_a_row += 1
        if self._in_a_row >= IN_A_ROW:
            raise error

    def tokens(self) -> dict[str, Any]:
        """What it took; ``told`` is false where some answers did not say."""
        return {
            "prompt": self.prompt_tokens,
            "completion": self.completion_tokens,
            "told": not self.untold,
        }

    def _count(self, line: dict[str, Any]) -> None:
        self.questions[int(line["document"])] = list(line["questions"])
        if line["prompt_tokens"] is None or line["completion_tokens"] is None:
            self.untold += 1
        self.prompt_tokens += line["prompt_tokens"] or 0
        self.completion_tokens += line["completion_tokens"] or 0

    def _read(self) -> None:
        """What an earlier attempt left. A line it was killed in is cut off."""
        if not self.path.is_file():
            return
        whole = self.path.read_bytes()
        kept = whole[: whole.rfind(b"\n") + 1]
        if kept != whole:
            with self.path.open("r+b") as file:
                file.truncate(len(kept))
        for line in kept.decode("utf-8").splitlines():
            self._count(json.loads(line))


def _quote(text: str) -> str:
    plain = " ".join(text.split())
    return plain[:120] + ("…" if len(plain) > 120 else "")
