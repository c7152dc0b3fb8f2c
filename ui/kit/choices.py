"""What the menus offer: the data sets, models and splits of the workspace."""

from collections.abc import Sequence
from typing import Any

import gradio as gr

from ui.words import t
from workbench.errors import BadInput
from workbench.workspace import Workspace

PACKAGED = "all-MiniLM-L6-v2"
SPLITS = ("test", "dev", "train")


def dataset_names(workspace: Workspace) -> list[str]:
    return [dataset.name for dataset in workspace.datasets.list()]


def shown_dataset(workspace: Workspace, shown: str) -> str:
    """The name of the data set that *Data* shows, by its id: what is done there is done to this
    one. Raises :class:`BadInput` where it is gone, or none was there to be shown."""
    if not shown:
        raise BadInput(t("data.empty"), t("data.empty_hint"))
    if not workspace.datasets.exists(shown):
        raise BadInput(t("data.gone"), t("data.gone_hint"))
    return workspace.datasets.get(shown).name


def model_names(workspace: Workspace) -> list[str]:
    """The packaged model first (it is there, or will be on first use), then the newest."""
    names = [model.name for model in workspace.models.list()]
    return [PACKAGED, *(name for name in names if name != PACKAGED)]


def offer_keys(workspace: Workspace, menu: Any) -> None:
    """Fill a menu with the variables whose value may be sent to an endpoint, and where each may; ''
    stands for the first that may be sent to the endpoint's address."""
    places: dict[str, list[str]] = {}
    for name, where in workspace.endpoint_keys.pairs:
        places.setdefault(name, []).append(where)
    first = (t("answer.key_by_address" if places else "answer.key_none"), "")
    menu.choices = [first, *((f"{name} → {', '.join(at)}", name) for name, at in places.items())]


def open_menu(**about: Any) -> gr.Dropdown:
    """A menu that the page fills later.

    It takes any value: Gradio checks values against the choices it has in memory for this visitor,
    and after a restart of the app those are gone while the page still stands. What is not in the
    workspace is refused where it is used, with a sentence.
    """
    return gr.Dropdown([], allow_custom_value=True, **{"interactive": True, **about})


def update(choices: Sequence[tuple[str, str]], value: Any, **more: Any) -> dict[str, Any]:
    """A menu's new choices, as (label, value), and what is chosen.

    Not ``gr.Dropdown(...)``: drawn only to be taken apart again, it warns of every chosen value
    that the real menu knows and it does not.
    """
    return {**gr.update(choices=list(choices), value=value), **more}


def menu(choices: Sequence[str], value: str | None) -> dict[str, Any]:
    """Keeps the chosen value where it still exists; else the first."""
    kept = value if value in choices else next(iter(choices), None)
    return update(_pairs(choices), kept)


def model_menu(choices: Sequence[str], value: str | None) -> dict[str, Any]:
    """As :func:`menu`; a typed folder or hub id stays although it is no choice."""
    return update(_pairs(choices), value or next(iter(choices), None))


def models_menu(choices: Sequence[str], value: Sequence[str] | None) -> dict[str, Any]:
    return update(_pairs(choices), list(value or []))


def _pairs(choices: Sequence[str]) -> list[tuple[str, str]]:
    return [(choice, choice) for choice in choices]


def splits() -> list[tuple[str, str]]:
    return [(t(f"split.{split}"), split) for split in SPLITS]
