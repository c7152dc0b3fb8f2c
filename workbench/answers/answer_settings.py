"""Who answers, and how: kept in the home, so that it is chosen once. No key is among it."""

import json
import logging
from typing import Any

from workbench.endpoint_keys import KeyNotAllowed
from workbench.errors import BadRecipe
from workbench.jobs.files import write_json
from workbench.recipes.answer import AnswerRecipe
from workbench.workspace import Workspace

FILE = "answers.json"
#: What belongs to one question.
_ASKED = frozenset({"index", "reranker", "where"})

log = logging.getLogger(__name__)


def load(workspace: Workspace) -> dict[str, Any]:
    """The kept settings by field; {} where there are none. What cannot be read counts as none."""
    path = workspace.path(FILE)
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


def save(workspace: Workspace, recipe: AnswerRecipe) -> None:
    write_json(workspace.path(FILE), settings(recipe))


def settings(recipe: AnswerRecipe) -> dict[str, Any]:
    """The part that is kept."""
    return recipe.model_dump(exclude=set(_ASKED))


def over(kept: dict[str, Any], typed: dict[str, Any]) -> dict[str, Any]:
    """What is typed now over what is kept: a writer that is named takes the place of the other."""
    if typed.get("local_model"):
        kept = {**kept, "endpoint": "", "endpoint_model": ""}
    if typed.get("endpoint"):
        kept = {**kept, "local_model": ""}
    return {**kept, **typed}
