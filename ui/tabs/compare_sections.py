"""What stands beside a comparison's table: sections in order, each in a file of its own.

A section is drawn once by ``section(services)``. Its ``show`` gives the updates of its ``outputs``
for the comparison that is shown (None: there is none), in the same answer as the table; ``wire``
connects what in it can be pressed. Another section is one more file and one more name below.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ui.services import Services
from workbench.records import Job, JobStatus

if TYPE_CHECKING:
    from ui.tabs.compare import Compare


@dataclass(frozen=True)
class Section:
    outputs: list[Any]
    show: Callable[[Job | None], list[Any]]
    wire: Callable[["Compare"], None]
    #: Where it has jobs of its own: what a look after them is given, the look, and what it may
    #: change. It is one event for the whole tab.
    watched: list[Any] = field(default_factory=list)
    look: Callable[..., dict[Any, Any]] = dict
    changes: list[Any] = field(default_factory=list)
    #: Where something is chosen in it: the updates for the comparison that it shows already.
    again: Callable[[Job | None], list[Any]] | None = None


def sections(services: Services) -> list[Section]:
    """Draw them, in the page's order."""
    from ui.tabs import (
        compare_dimensions,
        compare_explorer,
        compare_history,
        compare_matrix,
        compare_published,
        compare_slices,
    )

    order = (
        compare_explorer,
        compare_dimensions,
        compare_slices,
        compare_matrix,
        compare_published,
        compare_history,
    )
    return [one.section(services) for one in order]


def measured(job: Job | None) -> Job | None:
    """The job, if it is a comparison that was measured."""
    return job if job and job.status is JobStatus.SUCCEEDED and job.result else None
