"""What the page is built from, handed down as one object: there are no globals."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.workspace import Workspace

if TYPE_CHECKING:
    from workbench.jobs.supervisor import Supervisor
    from workbench.search.client import SearchClient

VERSION = "0.1.0"


@dataclass(frozen=True, slots=True)
class Services:
    """The engine behind one page.

    ``search`` is the resident search worker's client and ``supervisor`` what runs jobs; both are
    None where a page only reads records. ``root_path`` is the prefix a reverse proxy puts before
    every path: '' or '/prefix', never with a trailing slash.
    """

    workspace: Workspace
    search: "SearchClient | None" = None
    supervisor: "Supervisor | None" = None
    root_path: str = ""
    version: str = VERSION

    def url(self, path: str) -> str:
        """The address of a route of ours as the browser must ask for it, ``path`` with a slash."""
        return self.root_path + path
