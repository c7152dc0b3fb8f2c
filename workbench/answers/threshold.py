"""From which score on a passage counts as found.

A model gives every question some nearest passages, and each model has its own idea of near. So the
index is asked questions that mean nothing: what they score at best is what a question scores that
the documents have no answer to. On the sample with MiniLM such questions reach .19 to .29, real
ones about other things .15 to .26, and a query's right document .34 or more in 95 of 100 cases.
"""

import hashlib
import json
import random
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.jobs.files import write_json
from workbench.models.resolve import resolve
from workbench.recipes.answer import AnswerRecipe
from workbench.workspace import Workspace

if TYPE_CHECKING:
    from workbench.search.client import SearchClient

FOLDER = "cache/answers"
#: Senseless questions; a second stage reads a document for each of its candidates.
_PROBES, _PROBES_SECOND, _CANDIDATES = 16, 6, 10
_CONSONANTS, _VOWELS, _WORDS = "bcdfghklmnprstvz", "aeiou", 6


def least(workspace: Workspace, search: "SearchClient", recipe: AnswerRecipe) -> float | None:
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
