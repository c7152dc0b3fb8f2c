"""What the menus offer: the data sets, models and splits of the workspace."""

from collections.abc import Sequence

import gradio as gr

from ui.words import t
from workbench.workspace import Workspace

PACKAGED = "all-MiniLM-L6-v2"
SPLITS = ("test", "dev", "train")


def dataset_names(workspace: Workspace) -> list[str]:
    return [dataset.name for dataset in workspace.datasets.list()]


def model_names(workspace: Workspace) -> list[str]:
    """The packaged model first (it is there, or will be on first use), then the newest."""
    names = [model.name for model in workspace.models.list()]
    return [PACKAGED, *(name for name in names if name != PACKAGED)]


def menu(choices: Sequence[str], value: str | None, fallback: int | None = 0) -> gr.Dropdown:
    """An update: new choices, keeping the chosen value where it still exists."""
    if value not in choices:
        value = choices[fallback] if choices and fallback is not None else None
    return gr.Dropdown(choices=list(choices), value=value)


def model_menu(choices: Sequence[str], value: str | None) -> gr.Dropdown:
    """As :func:`menu`; a typed folder or hub id stays although it is no choice."""
    return gr.Dropdown(choices=list(choices), value=value or (choices[0] if choices else None))


def models_menu(choices: Sequence[str], value: Sequence[str] | None) -> gr.Dropdown:
    return gr.Dropdown(choices=list(choices), value=list(value or []))


def splits() -> list[tuple[str, str]]:
    return [(t(f"split.{split}"), split) for split in SPLITS]
