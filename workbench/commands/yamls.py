"""YAML (and JSON) files of settings: AutoTrain's, and flat ones such as RAG-Retrieval's."""

import re
from typing import Any

import yaml

from workbench.commands.parse import LONGEST, Command, Option
from workbench.errors import BadInput

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
