"""Submit a job from the command line and see it through."""

import argparse
import getpass
import os
import select
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import orjson

from storage.records import Job, JobStatus
from workbench.cli.output import ProgressLine, columns, say
from workbench.comparison import trained
from workbench.comparison.table import conditions
from workbench.errors import BadInput, BadRecipe, WorkbenchError
from workbench.jobs.suggested import suggestions
from workbench.model_kinds import MODEL_KINDS
from workbench.recipes.base import Recipe
from workbench.recipes.decided import started_from, with_preset
from workbench.recipes.describe import FieldSpec, describe
from workbench.takeaway.push import TOKEN_VARIABLE
from workbench.workspace import Workspace

#: Runs a command: what it prints as JSON, and as text.
Command = Callable[[Workspace, argparse.Namespace], "tuple[Any, str]"]


class JobFailed(WorkbenchError):
    """The job ended without success; ``bad_input`` follows what the job itself said."""

    code = "job-failed"

    def __init__(self, job: Job) -> None:
        error = job.error or {}
        default = f"The job '{job.name}' ended as {job.status.value}."
        hint = "\n".join([str(error.get("hint", "")), *_suggested(job)]).strip()
        super().__init__(error.get("message") or default, hint, job=job.id)
        self.job = job
        self.reported = error
        self.is_bad_input = bool(error.get("bad_input"))

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), **self.reported, "job": self.job.id}


def _suggested(job: Job) -> list[str]:
    """How to start it again with settings that would fit."""
    found = [f"  {at}. {one['sentence']}" for at, one in enumerate(suggestions(job), start=1)]
    if found and job.task.startswith("train"):
        found.append(f"Start with one: python -m workbench train --clone {job.id} --fitting 1")
    return found


def run_job(workspace: Workspace, recipe: Recipe) -> Job:
    """Submit, supervise from here, and return the finished job; raises :class:`JobFailed`."""
    return follow(workspace, workspace.jobs.submit(recipe))


def run_recipe(workspace: Workspace, args: argparse.Namespace, recipe: type[Recipe]) -> Job:
    """As :func:`run_job`, for what the options say of this recipe."""
    return run_job(workspace, recipe.read(read_values(args, recipe)))


def with_id(job: Job) -> dict[str, Any]:
    """A job's result, and its id as 'job'."""
    return {"job": job.id, **(job.result or {})}


def follow(workspace: Workspace, job: Job) -> Job:
    """Supervise a job that is queued or running until it has ended."""
    # The supervisor pulls in psutil and threads; commands that only read do without.
    from workbench.jobs.supervisor import Supervisor

    line = ProgressLine()
    try:
        ended = Supervisor(workspace).run_until(job.id, line)
    except KeyboardInterrupt:
        line.end()
        say(f"'{job.name}' goes on without this terminal. Its id is {job.id}:")
        say(f"  python -m workbench jobs show {job.id}     see how it stands")
        say(f"  python -m workbench jobs cancel {job.id}   stop it")
        raise
    line.end()
    if ended.status is not JobStatus.SUCCEEDED:
        raise JobFailed(ended)
    return ended


# When whoever reads the command line's output goes away, as ``| head`` does.

#: As a shell counts it: 128 and the number of the signal that ends other programs then, SIGPIPE.
UNREAD = 141


def until_unread(run: Callable[[], int]) -> int:
    """What ``run`` returns, or quietly :data:`UNREAD` where nobody reads what it writes."""
    try:
        try:
            return run()
        finally:
            # Here, and not at Python's end, where a failure can no longer be caught.
            sys.stdout.flush()
    except BrokenPipeError:
        gone = [stream for stream in (sys.stdout, sys.stderr) if _unread(stream)]
        if not gone:
            # Another pipe, which is an error as any other.
            raise
        for stream in gone:
            _discard(stream)
        return UNREAD


def _unread(stream: TextIO) -> bool:
    looking = select.poll()
    looking.register(stream.fileno(), select.POLLOUT)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in looking.poll(0))


def _discard(stream: TextIO) -> None:
    """Python writes what is left in the buffer at its end: to nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


# A training run's result in words, for the command line.

_VERDICTS = {
    "": "better than the first stage",
    "no-better": "no better than untrained",
    "below-first-stage": "worse than the first stage",
}


def words(result: dict[str, Any]) -> str:
    """What ``train`` says at its end, from its JSON."""
    metric = result["metric"]
    before = (result.get("baseline") or {}).get(metric)
    after = (result.get("best") or {}).get(metric)
    lines = [f"{result['model']}: {result['steps']} steps in {result['seconds']:.0f} seconds."]
    if before is None or after is None:
        lines.append(trained.unmeasured(result))
    elif trained.is_tested(result):
        lines += [trained.verdict(result), trained.estimate(result)]
    elif MODEL_KINDS.get(result["kind"]).encodes:
        verdict = "better" if result["beats_base"] else "no better than the original"
        lines.append(f"{metric} on dev: {before:.3f} before, {after:.3f} after: {verdict}.")
    else:
        # What orders candidates must beat the order it finds; untrained, it is no baseline.
        lines.append(
            f"{metric} on dev: {before:.3f} by the first stage ({result['baseline_name']}), "
            f"{result['untrained'][metric]:.3f} untrained, {after:.3f} after: "
            f"{_VERDICTS[result['verdict']]}."
        )
    if after is not None:
        said = [trained.of_looks(result), " ".join(conditions(result, [result]))]
        lines += filter(None, said)
    return "\n".join([*lines, *_found(result)])


def _found(result: dict[str, Any]) -> list[str]:
    """What the run looked at and decided, as tables; nothing of a run that did neither."""
    lines = trained.warnings(result)
    heads, rows = trained.look_table(result)
    if rows:
        lines += ["", trained.looked(result), columns(heads, rows)]
        lines += filter(None, [trained.expected(result)])
    if decided := trained.decided(result):
        lines += ["", columns(trained.HEADS, [one.cells for one in decided])]
    if forgotten := trained.forgotten(result):
        heads, rows = trained.forgetting_table(result)
        lines += ["", forgotten, *([columns(heads, rows)] if rows else [])]
        lines += filter(None, [trained.smaller_share(result)])
    return lines


# Commands and their options: recipe fields as options, and options back as recipe values.


class Commands:
    """What commands are added to, or the actions of one; each takes the ``shared`` options."""

    def __init__(self, parsers: Any, shared: argparse.ArgumentParser) -> None:
        self._parsers = parsers
        self._shared = shared

    def add(self, name: str, run: Command, help: str, **about: Any) -> argparse.ArgumentParser:
        """One of them; ``about``: what else argparse takes of a command."""
        parser: argparse.ArgumentParser = self._parsers.add_parser(
            name, parents=[self._shared], help=help, **about
        )
        parser.set_defaults(command=run)
        return parser

    def group(self, name: str, help: str) -> "Commands":
        """One that has actions; returns what these are added to."""
        parser = self._parsers.add_parser(name, help=help)
        actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
        return Commands(actions, self._shared)


def add_push(actions: Commands, run: Command, what: str) -> None:
    """``push``, of a data set or a model, which ``what`` says."""
    pushing = actions.add("push", run, f"push a {what} to the Hugging Face Hub")
    pushing.add_argument("name")
    pushing.add_argument("repo", metavar="OWNER/NAME", help="created if it does not exist")
    pushing.add_argument("--public", action="store_true", help="make the repository public")


def typed_token() -> str:
    """The hub's token where the environment has none and somebody can type it, else ''.

    Never an option: what is typed as one stands in the list of processes and in the history.
    """
    if os.environ.get(TOKEN_VARIABLE) or not sys.stdin.isatty():
        return ""
    return getpass.getpass("Token (used once, not kept): ")


#: Where a recipe option's value is kept in the parsed arguments, apart from the commands' own.
PREFIX = "field_"
USUAL_KEY = "OPENAI_API_KEY"


def add_fields(
    parser: argparse.ArgumentParser, recipe: type[Recipe], skip: tuple[str, ...] = ()
) -> None:
    """One option per field: ``--batch-size 16``. Values stay text; the recipe reads them."""
    for spec in describe(recipe):
        if spec.name not in skip:
            add_field(parser, spec)


def add_several(
    parser: argparse.ArgumentParser, field: str, help: str, required: bool = False
) -> None:
    """``--reranker`` for the field 'rerankers': an option that names a model, as often as given."""
    parser.add_argument(
        "--" + field.removesuffix("s"),
        dest=PREFIX + field,
        action="append",
        default=argparse.SUPPRESS,
        required=required,
        metavar="MODEL",
        help=f"{help}; may be given several times",
    )


def add_settings(
    parser: argparse.ArgumentParser, recipe: type[Recipe], *others: type[Recipe]
) -> None:
    """``--set field=value`` and ``--recipe FILE`` (and ``--preset`` where the recipe, or one of the
    others that the command may read, has some)."""
    parser.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="set any field of the recipe; may be given several times",
    )
    parser.add_argument("--recipe", dest="recipe_file", metavar="FILE", help="a recipe.json")
    presets = list(dict.fromkeys(name for one in (recipe, *others) for name in one.presets))
    if presets:
        parser.add_argument("--preset", choices=presets, help="a starting point")


def read_values(
    args: argparse.Namespace,
    recipe: type[Recipe],
    before: dict[str, Any] | None = None,
    preset: str = "",
) -> dict[str, Any]:
    """Recipe values from ``before``, file, preset, options and ``--set``; the later ones win.

    ``preset``: the one that is taken where none is named.
    """
    start: dict[str, Any] = dict(before or {})
    if getattr(args, "recipe_file", None):
        start.update(_read_file(Path(args.recipe_file)))
    if preset := getattr(args, "preset", None) or preset:
        if preset not in recipe.presets:
            raise BadRecipe(
                f"There is no preset '{preset}' here.",
                f"The presets are: {', '.join(recipe.presets)}.",
            )
        start = with_preset(recipe, start, preset)
    given = {
        name.removeprefix(PREFIX): value
        for name, value in vars(args).items()
        if name.startswith(PREFIX)
    }
    for setting in getattr(args, "settings", []):
        given.update(_read_setting(setting, recipe))
    values = started_from(recipe, start, given)
    return {name: _none_where_allowed(recipe, name, value) for name, value in values.items()}


def add_field(parser: argparse.ArgumentParser, spec: FieldSpec) -> None:
    """The option of one field."""
    flag = "--" + spec.name.replace("_", "-")
    common: dict[str, Any] = {
        "dest": PREFIX + spec.name,
        "default": argparse.SUPPRESS,
        "help": (spec.help + _default_words(spec)).replace("%", "%%"),
    }
    if spec.kind == "flag":
        parser.add_argument(flag, action=argparse.BooleanOptionalAction, **common)
    elif spec.kind == "list":
        parser.add_argument(flag, nargs="+", required=spec.required, **common)
    elif spec.kind == "choice":
        parser.add_argument(flag, choices=spec.choices, **common)
    else:
        metavar = {"int": "N", "float": "X"}.get(spec.kind, "TEXT")
        parser.add_argument(flag, metavar=metavar, required=spec.required, **common)


def allow_typed_key(workspace: Workspace, args: argparse.Namespace) -> None:
    """Whoever types an endpoint's address means to send it the key: the one typed with it, else
    that of OPENAI_API_KEY. What a file or kept settings say of either is no such word."""
    fields = typed(args)
    if fields.get("endpoint"):
        name = fields.get("key_variable") or USUAL_KEY
        workspace.endpoint_keys = workspace.endpoint_keys.also(name, fields["endpoint"].strip())


def typed(args: argparse.Namespace) -> dict[str, str]:
    """The recipe's fields that stand on the command line, as options or with ``--set``."""
    found = {
        name.removeprefix(PREFIX): str(value)
        for name, value in vars(args).items()
        if name.startswith(PREFIX)
    }
    for setting in getattr(args, "settings", []):
        name, _, value = setting.partition("=")
        found[name.strip().replace("-", "_")] = value
    return found


def _default_words(spec: FieldSpec) -> str:
    shown = spec.default is not None and spec.default != "" and spec.kind != "flag"
    return f" (default: {spec.default})" if shown else ""


def _read_setting(setting: str, recipe: type[Recipe]) -> dict[str, Any]:
    name, equals, value = setting.partition("=")
    if not equals:
        raise BadInput(f"'--set {setting}' has no '='.", "Write it as --set field=value.")
    name = name.strip().replace("-", "_")
    if name not in recipe.model_fields:
        known = ", ".join(recipe.model_fields)
        raise BadRecipe(f"There is no field named '{name}'.", f"Known fields: {known}.")
    return {name: value}


def _read_file(path: Path) -> dict[str, Any]:
    try:
        values = orjson.loads(path.read_bytes())
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.", "Check the path.") from error
    except orjson.JSONDecodeError as error:
        raise BadInput(f"{path} is not JSON: {error}.", "Give a recipe.json.") from error
    if not isinstance(values, dict):
        raise BadInput(f"{path} does not hold one JSON object.", "Give a recipe.json.")
    return values


def _none_where_allowed(recipe: type[Recipe], name: str, value: Any) -> Any:
    """'none' typed for an optional field means: no value."""
    optional = {spec.name for spec in describe(recipe) if spec.optional}
    return None if name in optional and value == "none" else value
