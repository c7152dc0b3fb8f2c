"""What can go wrong, in sentences: one base class, one small class per failure.

Every error says what happened (``message``) and what to do (``hint``). ``to_dict`` is what a job's
record keeps, so that the page and the command line show the same words after a restart. The command
line ends with status 2 for a ``bad_input`` error and with 1 for any other.
"""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar


class WorkbenchError(Exception):
    """Something a person can understand and fix."""

    code: ClassVar[str] = "error"
    bad_input: ClassVar[bool] = False

    def __init__(self, message: str, hint: str = "", **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = details

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()

    def to_dict(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "bad_input": self.bad_input,
            **({"details": self.details} if self.details else {}),
        }


class BadInput(WorkbenchError):
    """What was asked for cannot be done as it was asked."""

    code = "bad-input"
    bad_input = True


class BadRecipe(BadInput):
    """A recipe's field has a value it cannot take. ``details['fields']`` maps field to sentence."""

    code = "bad-recipe"


class NotFound(BadInput):
    """A name that is not in the workspace."""

    code = "not-found"

    @classmethod
    def among(cls, what: str, name: str, known: Iterable[str], hint: str = "") -> "NotFound":
        close = difflib.get_close_matches(name, list(known), n=1)
        meant = f"Did you mean '{close[0]}'?" if close else hint
        return cls(f"There is no {what} named '{name}'.", meant)


class DatasetNotFound(NotFound):
    code = "dataset-not-found"


class ModelNotFound(NotFound):
    code = "model-not-found"


class JobNotFound(NotFound):
    code = "job-not-found"


class IndexNotFound(NotFound):
    code = "index-not-found"


class WasRemoved(NotFound):
    """What a job's recipe names is gone, even if another thing has its name by now."""

    code = "was-removed"


class NameTaken(BadInput):
    code = "name-taken"


class NoGoodRows(BadInput):
    """Nothing in the files could be used. ``details['problems']`` has the first few."""

    code = "no-good-rows"


class StrictRefused(BadInput):
    """'strict' was asked for and there were problems."""

    code = "strict-refused"


class ModelUnusable(BadInput):
    """A folder or hub id that does not hold a model we can load."""

    code = "model-unusable"


class PictureUnusable(BadInput):
    """A file that cannot be opened as a picture. ``problem``: its code in ``data/problems.py``;
    ``detail``: what is said there."""

    code = "picture-unusable"

    @property
    def problem(self) -> str:
        return str(self.details.get("problem", "picture-broken"))

    @property
    def detail(self) -> str:
        return str(self.details.get("detail", ""))

    @classmethod
    def of(cls, problem: str, detail: str) -> "PictureUnusable":
        return cls(
            f"The picture cannot be used: {detail}.",
            "Save it again as PNG or JPEG, or leave it out.",
            problem=problem,
            detail=detail,
        )


class InUse(BadInput):
    """Something is needed by a job that still runs or waits."""

    code = "in-use"


class JobCancelled(WorkbenchError):
    """Raised inside a worker when the person asked for the job to stop."""

    code = "cancelled"


class WorkerCrashed(WorkbenchError):
    """The worker ended without a result."""

    code = "worker-crashed"


class OutOfMemory(WorkerCrashed):
    """There was not enough memory. ``details['cause']`` says so where only that is kept; the job's
    supervisor adds ``suggestions``, settings that would fit, to the record."""

    CAUSE: ClassVar[str] = "out-of-memory"

    def __init__(self, message: str, hint: str = "", **details: Any) -> None:
        super().__init__(message, hint, cause=self.CAUSE, **details)


class TrainingDiverged(WorkbenchError):
    """The guard stopped a run whose numbers had gone wrong (NaN, or a loss that stays 0)."""

    code = "training-diverged"


class StoreError(WorkbenchError):
    """The workspace's database cannot be opened as it is."""

    code = "store"


class SearchUnavailable(WorkbenchError):
    """The resident search worker could not answer."""

    code = "search-unavailable"


class EndpointFailed(WorkbenchError):
    """The language model behind an address did not answer as it should."""

    code = "endpoint-failed"


def rebuilt(
    said: dict[str, Any], otherwise: type[WorkbenchError] = WorkbenchError
) -> WorkbenchError:
    """What another process has reported by ``to_dict``, as the class it was; ``otherwise``: what it
    is where that class is not known here."""
    kind = _by_code(WorkbenchError).get(str(said.get("code")), otherwise)
    error = kind(str(said.get("message")), str(said.get("hint", "")))
    error.details |= said.get("details") or {}
    return error


def _by_code(base: type[WorkbenchError]) -> dict[str, type[WorkbenchError]]:
    found = {base.code: base}
    for one in base.__subclasses__():
        found.update(_by_code(one))
    return found


# What pydantic finds wrong with a value, as people say it.

_NUMBER, _WHOLE = "It must be a number.", "It must be a whole number."
#: pydantic's type of an error -> a sentence, with what the error's context fills in.
_VALUES = {
    "missing": "It is missing.",
    "extra_forbidden": "There is no such field.",
    "greater_than": "It must be greater than {gt}.",
    "greater_than_equal": "It must be at least {ge}.",
    "less_than": "It must be less than {lt}.",
    "less_than_equal": "It must be at most {le}.",
    "finite_number": "It must be a finite number.",
    **dict.fromkeys(("float_type", "float_parsing"), _NUMBER),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float", "int_parsing_size"), _WHOLE),
    **dict.fromkeys(("bool_type", "bool_parsing"), "It must be true or false."),
    "string_type": "It must be a text.",
    "list_type": "It must be a list.",
    **dict.fromkeys(("dict_type", "model_type"), "It must be an object of names and values."),
    "literal_error": "It must be {expected}.",
    "string_too_short": "It needs at least {min_length} characters.",
    "string_too_long": "It may have at most {max_length} characters.",
    "too_short": "Give at least {min_length}.",
    "too_long": "Give at most {max_length}.",
    "json_invalid": "It is not valid JSON: {error}.",
}
_FIRST = {"string_too_short": "It must not be empty.", "too_short": "Give at least one."}


def value_sentence(error: Mapping[str, Any]) -> str:
    """One of ``ValidationError.errors()`` as a sentence; our own validators' words as they are."""
    kind = str(error["type"])
    context = {name: _plain(value) for name, value in error.get("ctx", {}).items()}
    if kind in _FIRST and context.get("min_length") == 1:
        return _FIRST[kind]
    if kind in _VALUES:
        return _VALUES[kind].format_map(context)
    return str(error["msg"]).removeprefix("Value error, ").rstrip(".") + "."


def _plain(value: Any) -> Any:
    """A bound as a person writes it: 0, not 0.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
