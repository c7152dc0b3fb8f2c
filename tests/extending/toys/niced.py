"""A launcher: jobs run with low priority, started by a shell that says its own process id."""

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

from workbench.jobs import files
from workbench.jobs.launchers import LAUNCHERS, Command

SCRIPT = 'echo $$ && exec nice -n 5 "$0" "$@" >> log.txt 2>&1'


class NicedHandle:
    """``text``: 'shell-' and the runner's process id."""

    def __init__(self, text: str, folder: Path, attempt: int) -> None:
        self.text = text
        self._pid = text.removeprefix("shell-") or "0"
        self._folder = folder
        self._attempt = attempt

    def alive(self) -> bool:
        command = Path(f"/proc/{self._pid}/cmdline")
        return command.exists() and self._folder.name.encode() in command.read_bytes()

    def signal(self, _number: signal.Signals) -> bool:
        there = self.alive()
        if there:
            # The runner passes it on to the worker, and kills it if it does not end.
            os.kill(int(self._pid), signal.SIGTERM)
        return there

    def exit(self) -> dict[str, Any] | None:
        return files.read_json(self._folder / files.EXIT, self._attempt)


class Niced:
    name = "niced"

    def start(self, command: Command) -> NicedHandle:
        shell = subprocess.Popen(
            ["sh", "-c", SCRIPT, *command.arguments],
            cwd=command.folder,
            env=dict(command.environment),
            stdout=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )
        assert shell.stdout is not None
        text = f"shell-{shell.stdout.readline().strip()}"
        return NicedHandle(text, command.folder, command.attempt)

    def open(self, text: str, folder: Path, attempt: int) -> NicedHandle:
        return NicedHandle(text, folder, attempt)


LAUNCHERS.register(Niced())
