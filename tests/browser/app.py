"""The app as it ships, in a process of its own, for journeys through the real page."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests import warm

ROOT = Path(__file__).resolve().parents[2]
#: Milliseconds to wait for the page, and for what a worker does; a busy machine takes long.
PATIENCE = 300_000
LONG = 1_200_000


class App:
    """A running app: where it is, and what it had imported when it stopped."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self._modules = folder / "modules.txt"
        self._output = folder / "output.txt"
        program = [sys.executable, "-m", "tests.browser.served_app", str(self._modules)]
        with self._output.open("w") as output:
            self.process = warm.popen(
                [*program, "--home", str(self.home)],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def url(self) -> str:
        """Wait for the address it prints."""
        end = time.monotonic() + PATIENCE / 1000
        while time.monotonic() < end and self.process.poll() is None:
            said = self._output.read_text()
            if "Retrieval Workbench is at " in said:
                return said.split("Retrieval Workbench is at ")[1].split()[0]
            time.sleep(0.1)
        raise AssertionError(f"The app did not start: {self._output.read_text()}")

    def stop(self) -> set[str]:
        """End it as Ctrl-C does; the modules it had imported."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(PATIENCE / 1000)
        assert "Traceback" not in self._output.read_text()
        return set(self._modules.read_text().split())


@contextmanager
def running(folder: Path) -> Iterator[App]:
    app = App(folder)
    try:
        yield app
    finally:
        if app.process.poll() is None:
            app.process.kill()
            app.process.wait()


def click(page: Any, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).and_(page.locator(":visible")).click()


def open_tab(page: Any, name: str) -> None:
    """Also where the tab has moved into the menu of a narrow page."""
    tab = page.get_by_role("tab", name=name, exact=True).first
    if not tab.is_visible():
        page.locator("#tabs .overflow-menu > button").first.click()
        tab = page.locator("#tabs .overflow-dropdown button", has_text=name).first
    tab.click()
