"""The files a command names, checked before they are imported."""

import re
from collections.abc import Mapping
from pathlib import Path

from workbench.commands.result import DataSource, Imported
from workbench.data.parts import split_of
from workbench.data.shapes.recognise import recognise
from workbench.errors import BadInput


def data_paths(data: DataSource) -> list[str]:
    """The paths to import; raises :class:`BadInput` where the command names none, or a dev file
    whose name does not say so (its rows would be trained on)."""
    if not data.train:
        raise BadInput(
            "The command names no training file.", "Give the data set's name with --dataset."
        )
    for path in data.dev:
        if split_of(Path(path).absolute().as_posix()) != "dev":
            raise BadInput(
                f"The file {path} is for judging, but would be read as training rows.",
                "Rename it so that its name begins or ends with 'dev' or 'valid'.",
            )
    return [*data.train, *data.dev]


def data_mapping(columns: Mapping[str, str]) -> list[str]:
    """ROLE=COLUMN for the import, where it would not know the columns for what they are."""
    if not columns:
        return []
    plan = recognise(dict.fromkeys(columns.values(), ""))
    if plan.format and not plan.guessed:
        return []
    # A score makes pairs of texts of a query and its document.
    scored = {"query": "left", "positive": "right", "score": "label"}
    roles = scored if "score" in columns else {}
    return [f"{roles.get(part, part)}={name}" for part, name in columns.items()]


def data_name(command: Imported) -> str:
    """What the data set is called: after its file, or after the run where it is a folder."""
    first = Path(command.data.train[0])
    named = first.stem if first.suffix else str(command.values.get("name") or first.name)
    return re.sub(r"[^\w.-]+", "-", named).strip("-.")[:80] or "imported"
