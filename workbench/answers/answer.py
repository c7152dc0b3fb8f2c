"""A question becomes passages, then an answer with citations, told as events while it happens.

Events are JSON objects: ``passages`` (what was found), ``text``, ``cite`` and ``wrong`` (pieces of
the answer), and at the end ``end`` with everything once more
(:mod:`workbench.answers.answer_events`).
Whatever goes wrong with the model is told in the last one: what was found, and what was written
until then, is not lost.
"""

import asyncio
import hashlib
import json
import logging
import random
import threading
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from workbench.answers import citations
from workbench.answers.answer_events import AnswerEvents, Took
from workbench.answers.prompt import passages, prompt, says_nothing
from workbench.endpoints import KeyNotAllowed
from workbench.errors import BadInput, BadRecipe, JobCancelled, WorkbenchError
from workbench.jobs.files import write_json
from workbench.models.resolve import resolve
from workbench.prepare import look_up
from workbench.recipes.answer import AnswerRecipe
from workbench.recipes.describe import with_absolute_folders
from workbench.search.fields import parse
from workbench.search.protocol import CANDIDATES, SearchResult, Write
from workbench.workspace import Workspace

if TYPE_CHECKING:
    from workbench.search.client import SearchClient


LONGEST_QUESTION = 10_000


# A causal language model on this machine, in the search process, as a writer of answers.


class Local:
    """One question to one model."""

    def __init__(self, recipe: AnswerRecipe, search: "SearchClient") -> None:
        self.recipe = recipe
        self.took = Took()
        self._search = search
        self._stopped = threading.Event()

    async def write(self, prompt: str) -> AsyncGenerator[str, None]:
        """The answer, piece by piece, read from the search process in a thread of its own; it
        stops where nobody reads on. Raises what :meth:`SearchClient.write` raises."""
        said: asyncio.Queue[dict[str, Any] | Exception] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def hand_on(one: dict[str, Any] | Exception) -> None:
            if not self._stopped.is_set():
                loop.call_soon_threadsafe(said.put_nowait, one)

        threading.Thread(target=self._read, args=(prompt, hand_on), daemon=True).start()
        try:
            while True:
                one = await said.get()
                if isinstance(one, Exception):
                    raise one
                if "answer" in one:
                    self._end(one["answer"])
                    return
                if one.get("text"):
                    yield one["text"]
        finally:
            self._stopped.set()

    def _read(self, prompt: str, hand_on: Any) -> None:
        recipe = self.recipe
        request = Write(
            recipe.local_model, recipe.device, prompt, recipe.max_tokens, recipe.temperature
        )
        try:
            for one in self._search.write(request, self._check):
                hand_on(one)
        except Exception as error:  # noqa: BLE001 - raised again where it is waited for
            hand_on(error)

    def _check(self) -> None:
        if self._stopped.is_set():
            raise JobCancelled("The answer was stopped.")

    def _end(self, took: dict[str, Any]) -> None:
        self.took = Took(took["prompt_tokens"], took["completion_tokens"], True, took["cut"])


# What a model thinks aloud before its answer, between ``<think>`` and ``</think>``: left out.

_BEGIN, _END = "<think>", "</think>"


@dataclass
class Thinking:
    """Hands on an answer in pieces of any size, without the thought that it begins with."""

    #: 'start' until it is known whether there is one, 'inside' it, 'after' it.
    _where: str = "start"
    _held: str = ""

    def feed(self, text: str) -> str:
        """What is to be shown now."""
        if self._where == "after":
            return text
        self._held += text
        if self._where == "start":
            begun = self._held.lstrip()
            if begun and begun[: len(_BEGIN)] == _BEGIN[: len(begun)] and len(begun) < len(_BEGIN):
                return ""
            if begun.startswith(_BEGIN):
                self._where = "inside"
            elif begun:
                return self.close()
        if self._where == "inside" and _END in self._held:
            rest = self._held.partition(_END)[2]
            self._where, self._held = "after", ""
            return rest
        return ""

    def close(self) -> str:
        """The rest, at the end; of a thought that was not ended, nothing."""
        rest = "" if self._where == "inside" else self._held
        self._where, self._held = "after", ""
        return rest


# From which score on a passage counts as found.
#
# A model gives every question some nearest passages, and each model has its own idea of near. So
# the index is asked questions that mean nothing: what they score at best is what a question scores
# that the documents have no answer to. On the sample with MiniLM such questions reach .19 to .29,
# real ones about other things .15 to .26, and a query's right document .34 or more in 95 of 100
# cases.

FOLDER = "cache/answers"
#: Senseless questions; a second stage reads a document for each of its candidates.
_PROBES, _PROBES_SECOND, _CANDIDATES = 16, 6, 10
_CONSONANTS, _VOWELS, _WORDS = "bcdfghklmnprstvz", "aeiou", 6


def least_similarity(
    workspace: Workspace, search: "SearchClient", recipe: AnswerRecipe
) -> float | None:
    """The lowest score that counts: the recipe's, else the measured one, which is kept.

    None where nothing was found even for senseless questions.
    """
    if recipe.min_score is not None:
        return recipe.min_score
    kept = workspace.path(FOLDER) / f"{_mark(workspace, recipe)}.json"
    if kept.is_file():
        value: float | None = json.loads(kept.read_text(encoding="utf-8"))["least"]
        return value
    value = measure(search, recipe.index, recipe.reranker)
    _keep(kept, value)
    return value


def measure(search: "SearchClient", index: str, reranker: str | None) -> float | None:
    """The best score that senseless questions reach."""
    best = []
    for question in probes(_PROBES_SECOND if reranker else _PROBES):
        found = search.search(index, question, 1, reranker=reranker, candidates=_CANDIDATES)
        best += [hit.score for hit in found.hits]
    return max(best, default=None)


def probes(count: int) -> list[str]:
    """Questions of words that no language has, the same every time."""
    drawn = random.Random(0)
    return [" ".join(_word(drawn) for _ in range(_WORDS)) + "?" for _ in range(count)]


def _word(drawn: random.Random) -> str:
    syllables = range(drawn.randint(2, 4))
    return "".join(drawn.choice(_CONSONANTS) + drawn.choice(_VOWELS) for _ in syllables)


def _mark(workspace: Workspace, recipe: AnswerRecipe) -> str:
    """Names what was measured: the index as it is now, and the second stage."""
    index = workspace.indexes.get(recipe.index)
    second = resolve(workspace, recipe.reranker) if recipe.reranker else None
    about = [index.id, index.path, second and (second.model_id or second.source)]
    return hashlib.blake2b(json.dumps(about).encode(), digest_size=16).hexdigest()


def _keep(path: Path, value: float | None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {"least": value})


Event = dict[str, Any]


class Writer(Protocol):
    """Who writes an answer."""

    took: Took

    def write(self, prompt: str) -> AsyncGenerator[str, None]: ...


async def answer(
    workspace: Workspace, search: "SearchClient", recipe: AnswerRecipe, question: str
) -> AsyncGenerator[Event, None]:
    """Search, ask, and hand on what is written. To stop it, close the iterator.

    Raises what :meth:`SearchClient.search` raises: without passages there is nothing to tell.
    """
    began = time.perf_counter()
    found = await asyncio.to_thread(_search, search, recipe, question)
    least = await asyncio.to_thread(least_similarity, workspace, search, recipe)
    told = AnswerEvents(recipe, found, least, began)
    yield told.passages()
    if told.enough and recipe.writer:
        async with aclosing(_write(_writer(workspace, recipe, search), told, question)) as events:
            async for event in events:
                yield event
    yield told.end()


def _writer(workspace: Workspace, recipe: AnswerRecipe, search: "SearchClient") -> Writer:
    if not recipe.endpoint:
        return Local(recipe, search)
    # Here, and not above: the client takes a second to import, and the page starts without it.
    from workbench.answers.endpoint import Endpoint

    return Endpoint(recipe, workspace.endpoint_keys)


def _search(search: "SearchClient", recipe: AnswerRecipe, question: str) -> SearchResult:
    return search.search(
        recipe.index,
        question,
        recipe.top_k,
        reranker=recipe.reranker,
        candidates=max(CANDIDATES, recipe.top_k),
        where=recipe.where,
    )


async def _write(writer: Writer, told: AnswerEvents, question: str) -> AsyncGenerator[Event, None]:
    """The pieces of the answer; what goes wrong is kept in ``told``."""
    read = passages(told.enough, told.recipe.budget)
    told.given(read)
    found, thinking = citations.Citations(len(read)), Thinking()
    asked = time.perf_counter()
    try:
        async with aclosing(writer.write(prompt(told.recipe, question, read))) as pieces:
            async for text in pieces:
                if shown := thinking.feed(text):
                    told.took_first(asked)
                    for piece in found.feed(shown):
                        yield told.piece(piece)
    except WorkbenchError as error:
        told.failed(error)
    for piece in [*found.feed(thinking.close()), *found.close()]:
        yield told.piece(piece)
    told.written(found, writer.took, asked, says_nothing(told.text))


def prepare(workspace: Workspace, recipe: AnswerRecipe, question: str) -> AnswerRecipe:
    """The recipe with whole paths (the search process stands in another folder than the person);
    raises :class:`BadInput` for what cannot be answered."""
    if not question.strip():
        raise BadInput("There is nothing to answer.", "Type a question.")
    if len(question) > LONGEST_QUESTION:
        raise BadInput(
            f"The question is longer than {LONGEST_QUESTION:,} characters.", "Shorten it."
        )
    workspace.endpoint_keys.variable(recipe)
    if recipe.where.strip():
        parse(recipe.where)
    return look_up(with_absolute_folders(recipe, workspace.models.exists), workspace)


# An answer as a whole, for callers that do not read along: the command line, agents.

Said = Callable[[dict[str, Any]], None]


def collect_answer(
    workspace: Workspace,
    search: "SearchClient",
    recipe: AnswerRecipe,
    question: str,
    said: Said | None = None,
) -> dict[str, Any]:
    """Everything that is told at the end; ``said`` gets the events before it.

    Raises what :func:`workbench.answers.answer.answer` raises.
    """
    return asyncio.run(_whole(workspace, search, recipe, question, said))


async def _whole(
    workspace: Workspace,
    search: "SearchClient",
    recipe: AnswerRecipe,
    question: str,
    said: Said | None,
) -> dict[str, Any]:
    async with aclosing(answer(workspace, search, recipe, question)) as events:
        async for event in events:
            if event["event"] == "end":
                return {name: value for name, value in event.items() if name != "event"}
            if said:
                said(event)
    raise AssertionError("unreachable")


# Who answers, and how: kept in the home, so that it is chosen once. No key is among it.

SETTINGS_FILE = "answers.json"
#: What belongs to one question.
_OF_ONE_QUESTION = frozenset({"index", "reranker", "where"})

log = logging.getLogger(__name__)


def load_settings(workspace: Workspace) -> dict[str, Any]:
    """The kept settings by field; {} where there are none. What cannot be read counts as none."""
    path = workspace.path(SETTINGS_FILE)
    if not path.is_file():
        return {}
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        read = AnswerRecipe.read({**kept, "index": "-"})
    except (ValueError, TypeError, BadRecipe) as error:
        log.warning("%s cannot be read: %s", path, error)
        return {}
    try:
        workspace.endpoint_keys.variable(read)
    except KeyNotAllowed:
        # It could be sent there once; a key that may be is chosen by the address.
        read = read.model_copy(update={"key_variable": ""})
    return settings(read)


def save_settings(workspace: Workspace, recipe: AnswerRecipe) -> None:
    write_json(workspace.path(SETTINGS_FILE), settings(recipe))


def settings(recipe: AnswerRecipe) -> dict[str, Any]:
    """The part that is kept."""
    return recipe.model_dump(exclude=set(_OF_ONE_QUESTION))


def settings_over(kept: dict[str, Any], typed: dict[str, Any]) -> dict[str, Any]:
    """What is typed now over what is kept: a writer that is named takes the place of the other."""
    if typed.get("local_model"):
        kept = {**kept, "endpoint": "", "endpoint_model": ""}
    if typed.get("endpoint"):
        kept = {**kept, "local_model": ""}
    return {**kept, **typed}
