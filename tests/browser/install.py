"""Make sure there is a Chromium for the browser tests: an installed one, Playwright's, Debian's.

``python tests/browser/install.py`` says which it found or fetched and may be run any number of
times. It never asks for more rights than it has; where nothing works it says so and ends with 1.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.browser.browser import VARIABLE, find_chromium, playwright_chromium

TIMEOUT = 900


def main() -> int:
    if os.environ.get(VARIABLE) and find_chromium() is None:
        print(f"{VARIABLE}={os.environ[VARIABLE]} is not an executable.", file=sys.stderr)
        return 1
    for how, make in (("found", find_chromium), ("downloaded", download), ("installed", debian)):
        path = make()
        if path and runs(path):
            print(f"Browser tests use {path} ({how}).")
            return 0
    print(
        "No Chromium could be found, downloaded or installed. Install Chromium or Google Chrome, "
        f"or set {VARIABLE} to its path.",
        file=sys.stderr,
    )
    return 1


def download() -> str | None:
    """Playwright's own build, into its cache in the home folder."""
    done = quietly([sys.executable, "-m", "playwright", "install", "chromium"])
    return playwright_chromium() if done else None


def debian() -> str | None:
    """Debian's package, when we may install packages already."""
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        return None
    install = [apt, "install", "--yes", "--no-install-recommends", "chromium"]
    done = quietly([apt, "update"]) and quietly(install)
    return shutil.which("chromium") if done else None


def runs(path: str) -> bool:
    """Whether it starts at all: a download may lack libraries of the system."""
    return quietly([path, "--version"], timeout=60)


def quietly(command: list[str], timeout: float = TIMEOUT) -> bool:
    """Run a command; its output is shown only when it fails."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=timeout, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"{command[0]}: {error}", file=sys.stderr)
        return False
    if done.returncode:
        print(
            f"{' '.join(command)} failed:\n{(done.stderr or done.stdout)[-800:]}", file=sys.stderr
        )
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
