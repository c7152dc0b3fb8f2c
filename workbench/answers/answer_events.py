"""What is told of an answer: the passages, the pieces, and the whole at the end."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from workbench.answers.citations import Citations, Piece, plain
from workbench.answers.prompt import Passage
from workbench.errors import WorkbenchError
from workbench.recipes.answer import AnswerRecipe
from workbench.search.protocol import Hit, SearchResult

# What writing an answer took.


@dataclass
class Took:
    """Tokens, where the model tells, and how it ended."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    #: Whether the model said that it was done; a stream that breaks off does not.
    ended: bool = False
    #: Whether the limit of tokens ended it.
    cut: bool = False

    def reset(self) -> None:
        """For another try."""
        self.prompt_tokens = self.completion_tokens = None
        self.ended = self.cut = False

    def count(self, usage: Any) -> None:
        """What an endpoint says of its tokens, if it is numbers. The last word counts."""
        for name in ("prompt_tokens", "completion_tokens"):
            value = getattr(usage, name, None)
            if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
                setattr(self, name, value)


#: Characters of a passage that is shown without having been read by a model.
SHOWN = 2000


class AnswerEvents:
    """One answer as it grows."""

    def __init__(
        self, recipe: AnswerRecipe, found: SearchResult, least: float | None, began: float
    ) -> None:
        """``least``: the lowest score that counts as found. ``began``: a time of
        ``time.perf_counter``."""
        self.recipe = recipe
        self._found = found
        self._least = least
        self._began = began
        self._pieces: list[Piece] = []
        self._read: dict[int, Passage] = {}
        self._citations = Citations(0)
        self._took = Took()
        self._error: WorkbenchError | None = None
        self._nothing = False
        self._milliseconds = {
            name: taken for name, taken in found.milliseconds.items() if name != "total"
        }

    @property
    def enough(self) -> list[Hit]:
        """The hits that score enough to count, the best first."""
        return [hit for hit in self._found.hits if self._counts(hit)]

    @property
    def text(self) -> str:
        """The answer so far, without citations of passages that are not there."""
        return plain(self._pieces).strip()

    def given(self, read: Sequence[Passage]) -> None:
        """What the model is given."""
        self._read = {one.number: one for one in read}

    def took_first(self, asked: float) -> None:
        """There is text; the first time counts."""
        self._milliseconds.setdefault("first_token", _since(asked))

    def piece(self, piece: Piece) -> dict[str, Any]:
        """A piece's event."""
        self._pieces.append(piece)
        more = {"numbers": list(piece.numbers)} if piece.numbers else {}
        return {"event": piece.kind, "text": piece.text, **more}

    def failed(self, error: WorkbenchError) -> None:
        self._error = error

    def written(self, found: Citations, took: Took, asked: float, nothing: bool) -> None:
        """The model is done, or failed. ``nothing``: it said that the passages do not answer."""
        self._citations, self._took, self._nothing = found, took, nothing
        self._milliseconds["write"] = _since(asked)

    def passages(self) -> dict[str, Any]:
        """The first event: what was found."""
        return {"event": "passages", **self._about(), "passages": self._passages()}

    def end(self) -> dict[str, Any]:
        """The last event: everything."""
        state = self._state()
        written = state in ("answered", "broken")
        cited = self._citations.cited if written else []
        self._milliseconds["total"] = _since(self._began)
        return {
            "event": "end",
            **self._about(),
            "state": state,
            "answer": self.text,
            "citations": [self._cited(number) for number in cited],
            "wrong_citations": self._citations.wrong,
            "uncited": written and not cited,
            "error": self._error.to_dict() if self._error else None,
            "passages": self._passages(),
            "tokens": {
                "prompt": self._took.prompt_tokens,
                "completion": self._took.completion_tokens,
            },
            "cut_off": self._took.cut,
            "milliseconds": {name: round(one, 1) for name, one in self._milliseconds.items()},
        }

    def _state(self) -> str:
        """'nothing-found': no passage scores enough. 'passages': nobody was asked to write.
        'not-in-passages': the model says so. 'failed': before its first word; 'broken': after."""
        if not self.enough:
            return "nothing-found"
        if not self.recipe.writer:
            return "passages"
        if self._error:
            return "broken" if self.text else "failed"
        if not self.text:
            return "empty"
        return "not-in-passages" if self._nothing else "answered"

    def _about(self) -> dict[str, Any]:
        found = self._found
        return {
            "question": found.query,
            "index": found.index,
            "model": found.model,
            "reranker": found.reranker,
            "writer": self.recipe.writer or None,
            "min_score": self._least,
        }

    def _passages(self) -> list[dict[str, Any]]:
        return [self._passage(at, hit) for at, hit in enumerate(self._found.hits, start=1)]

    def _passage(self, number: int, hit: Hit) -> dict[str, Any]:
        """``read``: the model was given it. ``cut``: not the whole of it is here."""
        read = self._read.get(number)
        cut = read.cut if read else len(hit.text) > SHOWN
        text = hit.text[: max(SHOWN, len(read.text) if read else 0)]
        return {
            "number": number,
            "id": hit.id,
            "title": hit.title,
            "text": text,
            "score": hit.score,
            "enough": self._counts(hit),
            "read": read is not None,
            "cut": cut,
            "cited": number in self._citations.cited,
        }

    def _cited(self, number: int) -> dict[str, Any]:
        hit = self._found.hits[number - 1]
        return {"number": number, "id": hit.id, "title": hit.title}

    def _counts(self, hit: Hit) -> bool:
        return self._least is None or hit.score >= self._least


def _since(then: float) -> float:
    """Milliseconds."""
    return (time.perf_counter() - then) * 1000
