"""A section of the Data tab: it shows something of the data set that is chosen, or does it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from ui.kit.choices import shown_dataset
from ui.kit.job_slot import JobSlot
from ui.services import Services
from workbench.records import Dataset


@dataclass(frozen=True)
class Shown:
    """What the tab gives each of its sections."""

    services: Services
    #: The name of the data set that was chosen; it may be one that is still being made.
    name: gr.BrowserState
    #: The id of the one that is shown: what is done on the tab is done to this one.
    id: gr.Textbox
    #: The number of the version that is looked into; 0 is the current one.
    version: gr.Number
    #: Has the whole tab filled after an event.
    refill: Callable[[Any], None]


class Section(ABC):
    """Drawn by its class, inside the tab. A subclass draws in ``__init__``."""

    #: Components whose values say where a person is in it: they come back at every look.
    place: Sequence[Any] = ()
    #: What ``view`` and ``changed`` may change.
    outputs: Sequence[Any] = ()
    #: Its job, where it starts any.
    job: JobSlot | None = None

    def __init__(self, shown: Shown) -> None:
        self.shown = shown
        self.services = shown.services
        self.workspace = shown.services.workspace

    def dataset(self, id: str) -> str:
        """The name of the data set that is shown, by the value of ``shown.id``."""
        return shown_dataset(self.workspace, id)

    @abstractmethod
    def view(self, dataset: Dataset | None, place: Sequence[Any] | None) -> dict[Any, Any]:
        """Updates by component. ``place``: the values of ``self.place`` while the same data set
        stays on the page, None where it is shown afresh."""

    def changed(self, _name: str, _place: Sequence[Any], _card: str) -> dict[Any, Any] | None:
        """What a look after the job changes, where ``_card`` is what stands in it; None: the whole
        tab, since a version was made."""
        return {}

    @abstractmethod
    def listen(self) -> None:
        """Wire it."""
