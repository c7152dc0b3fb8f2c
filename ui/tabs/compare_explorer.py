"""The comparison's rows, query by query."""

from ui.services import Services
from ui.tabs.compare_sections import Section, measured
from ui.tabs.explorer import Explorer


def section(services: Services) -> Section:
    explorer = Explorer(services, "explore", "compare-explorer")
    return Section(
        explorer.outputs,
        lambda job: explorer.show(measured(job)),
        lambda compare: explorer.wire(compare.job.shown),
        again=lambda job: explorer.again(measured(job)),
    )
