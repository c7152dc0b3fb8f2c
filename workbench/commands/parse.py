"""A pasted command line, taken apart with :mod:`shlex`; nothing is executed or expanded but the
variables that the text itself sets.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from workbench.errors import BadInput

#: More than this is no command.
LONGEST = 200_000
_COMMENT = re.compile(r"^[ \t]*#.*$", re.MULTILINE)
#: Backslash, or what Windows shells write in its place, at the end of a line.
_CONTINUED = re.compile(r"(?:\\|(?<=\s)[\^`])[ \t]*\r?\n")
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))")
#: Editors turn two hyphens into a dash.
_OPTION = re.compile(r"(?:--|—|–)([A-Za-z][\w.-]*)(?:=(.*))?", re.DOTALL)
_SHORT = re.compile(r"-[A-Za-z]\w*")
_SIGNS = ";&|\n"
#: Stands for a line break that ends a command.
_DEEPEST = 5


@dataclass(frozen=True, slots=True)
class Option:
    """``--word value value``; ``word`` is in lower case with underscores."""

    word: str
    values: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return " ".join(self.values)

    @property
    def unset(self) -> str | None:
        """The first shell variable in the values that the text did not set."""
        found = _VARIABLE.search(self.text)
        return found.group(0) if found else None


@dataclass(slots=True)
class Command:
    """One command: ``program`` is the script or module, the launcher's options are apart."""

    program: str = ""
    options: list[Option] = field(default_factory=list)
    launcher: list[Option] = field(default_factory=list)
    environment: list[str] = field(default_factory=list)
    #: Words that belong to no option.
    stray: list[str] = field(default_factory=list)


def parse(text: str) -> Command:
    """The training command in ``text``: of several, the one with the most options.

    Raises :class:`BadInput` for an open quote, or text too long to be a command.
    """
    if len(text) > LONGEST:
        raise BadInput("The text is too long to be a command.", "Paste the command alone.")
    variables: dict[str, str] = {}
    found: list[list[str]] = []
    for words in _commands(text):
        if assigned := _assignments(words):
            variables.update({name: _fill(value, variables) for name, value in assigned})
        else:
            found.append(_expand(words, variables))
    best = max(found, key=lambda words: sum(map(_is_option, words)), default=[])
    return _command(best)


def _commands(text: str) -> Iterator[list[str]]:
    """The words of each command."""
    plain = _CONTINUED.sub(" ", _COMMENT.sub("", text.replace("\r\n", "\n")))
    lexer = shlex.shlex(plain.replace("\0", ""), posix=True, punctuation_chars=_SIGNS)
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t\r", True, ""
    words: list[str] = []
    try:
        for word in lexer:
            if word and not word.strip(_SIGNS):
                yield words
                words = []
            else:
                words.append(word)
    except ValueError as error:
        raise BadInput(
            "A quotation mark is opened in the command and never closed.",
            "Paste the whole command, with both marks of each quoted text.",
        ) from error
    yield words


def _assignments(words: list[str]) -> list[tuple[str, str]]:
    """``NAME=value`` and ``export NAME=value`` where a command is nothing else."""
    rest = words[1:] if words[:1] in (["export"], ["set"]) else words
    matches = [_ASSIGNMENT.fullmatch(word) for word in rest]
    return [(m.group(1), m.group(2)) for m in matches if m] if all(matches) else []


def _fill(text: str, variables: dict[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        return variables.get(found.group(1) or found.group(2), found.group(0))

    # A script that doubles a variable again and again must not fill the memory.
    return _VARIABLE.sub(value, text)[:LONGEST]


def _expand(words: list[str], variables: dict[str, str], depth: int = 0) -> list[str]:
    """Words with the text's own variables filled in; one that holds options is split again."""
    done: list[str] = []
    for word in words:
        filled = _fill(word, variables)
        whole = _VARIABLE.fullmatch(word) is not None
        if whole and filled != word and "--" in filled and depth < _DEEPEST:
            parts = [part for command in _commands(filled) for part in command]
            done += _expand(parts, variables, depth + 1)
        else:
            done.append(filled)
        if len(done) > LONGEST:
            raise BadInput("The text is too long to be a command.", "Paste the command alone.")
    return done


def _is_option(word: str) -> bool:
    return _OPTION.fullmatch(word) is not None


def _command(words: list[str]) -> Command:
    command = Command()
    words = _without_tail(words)
    while words and (found := _ASSIGNMENT.fullmatch(words[0])):
        command.environment.append(found.group(1))
        words = words[1:]
    start = _program(words)
    if start is not None:
        command.program = words[start]
        # The launcher's own -m and flags stand before the program.
        command.launcher = _options(words[1:start], [])
        words = words[start + 1 :]
    elif words and not words[0].startswith(("-", "—", "–")):
        command.program, words = words[0], words[1:]
    command.options = _options(words, command.stray)
    return command


def _program(words: list[str]) -> int | None:
    """Where the script or module stands."""
    for place, word in enumerate(words):
        if place and words[place - 1] in ("-m", "--module") and not word.startswith("-"):
            return place
        if word.endswith(".py") and not (place and _is_option(words[place - 1])):
            return place
    return None


def _without_tail(words: list[str]) -> list[str]:
    """Without a prompt sign before, and a comment or a redirection behind."""
    while words and words[0] in ("$", ">", "!", "%", "nohup", "eval", "sudo", "time"):
        words = words[1:]
    for place, word in enumerate(words):
        if word.startswith("#") or re.fullmatch(r"[12]?>{1,2}.*", word, re.DOTALL):
            return words[:place]
    return words


def _options(words: list[str], stray: list[str]) -> list[Option]:
    found: list[Option] = []
    word, values, open_ = "", list[str](), False
    for text in [*words, "--end"]:
        match = _OPTION.fullmatch(text)
        short = _SHORT.fullmatch(text)
        if match or short:
            if word:
                found.append(Option(word, tuple(values)))
            name = match.group(1) if match else text.lstrip("-")
            word = name.replace("-", "_").replace(".", "_").lower()
            given = match.group(2) if match else None
            values = [] if given is None else [given]
            open_ = given is None
        elif word and open_:
            values.append(text)
        else:
            stray.append(text)
    return found


# YAML (and JSON) files of settings: AutoTrain's, and flat ones such as RAG-Retrieval's.

_FIRST = re.compile(r"\s*(?:---\s*)?(?:\{|[\"']?[\w-]+[\"']?\s*:(?:\s|$))")
_TASKS = ("pair", "triplet", "pair_score", "pair_class", "qa")
#: AutoTrain's sections whose members are settings like any other.
_SECTIONS = ("params", "model", "train", "training", "data", "args", "peft")


class _Plain(yaml.BaseLoader):
    """Every value as it is written; no anchors, with which a few lines become gigabytes."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("anchors and aliases are not read")
        return super().compose_node(parent, index)


def looks_like_yaml(text: str) -> bool:
    """Whether the first line that says something is 'key: value' or opens a JSON object."""
    lines = (
        line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")
    )
    first = next(lines, "")
    first = next(lines, "") if first.strip() == "---" else first
    return bool(_FIRST.match(first)) and "--" not in first.split("#")[0]


def read_yaml(text: str) -> tuple[Command, str | None]:
    """The settings as options, and AutoTrain's trainer (pair, triplet ...) where it is one.

    Raises :class:`BadInput` for what is no YAML, and for tasks that are not about retrieval.
    """
    if len(text) > LONGEST:
        raise BadInput("The text is too long to be a configuration.", "Paste that file alone.")
    try:
        values = yaml.load(text, Loader=_Plain)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        said = " ".join(str(error).split())[:200]
        raise BadInput(
            f"This is no YAML that can be read: {said}", "Paste it unchanged."
        ) from error
    if not isinstance(values, dict):
        raise BadInput("The YAML holds no settings.", "Paste the whole file.")
    command = Command(program="autotrain" if "task" in values else "")
    trainer = _trainer(values)
    for key, value in values.items():
        _collect(command, str(key), value, 0)
    return command, trainer


def _trainer(values: dict[str, Any]) -> str | None:
    task = values.pop("task", None)
    if task is None:
        return None
    family, _, trainer = str(task).partition(":")
    if family not in ("sentence-transformers", "st", "sentence_transformers"):
        raise BadInput(
            f"AutoTrain's task '{str(task)[:80]}' does not train a retrieval model.",
            "sentence-transformers:pair, :triplet, :pair_score, :pair_class and :qa do.",
        )
    if trainer not in _TASKS:
        raise BadInput(f"AutoTrain has no task '{str(task)[:80]}'.", f"Known: {', '.join(_TASKS)}.")
    return trainer


def _collect(command: Command, key: str, value: Any, depth: int) -> None:
    if isinstance(value, dict):
        if depth < 2 and (key in _SECTIONS or key == "column_mapping"):
            for name, inner in value.items():
                _collect(command, _renamed(key, str(name)), inner, depth + 1)
        else:
            command.options.append(Option(_word(key), (", ".join(map(str, value)),)))
        return
    texts = [str(one) for one in value] if isinstance(value, list) else [str(value)]
    # 'key:' with nothing behind it is YAML's way to say: not set.
    if texts not in (["null"], ["~"], [""]):
        command.options.append(Option(_word(key), tuple(texts)))


def _renamed(section: str, name: str) -> str:
    """AutoTrain calls the folder of its data 'path'."""
    return {"path": "data_path"}.get(name, name) if section == "data" else name


def _word(key: str) -> str:
    return re.sub(r"[-.\s]", "_", key.strip().lower())
