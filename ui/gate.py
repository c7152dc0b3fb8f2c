"""Drawing a page while another is in use: many callbacks at once, or one drawing alone.

Gradio keeps the page that is being drawn in a global, and whatever component is made meanwhile, in
any thread, becomes a part of it. A callback that answers with ``gr.Button(...)`` makes one. So a
page drawn after the start (``ui/editions.py``) waits for a moment without callbacks, and callbacks
wait for it: once per language, for a second.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Gate:
    """Any number may pass, or one be alone. Who passes may pass again inside."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._taken = False

    @contextmanager
    def passing(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._taken)
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not (self._taken or self._inside))
            self._taken = True
        try:
            yield
        finally:
            with self._changed:
                self._taken = False
                self._changed.notify_all()


GATE = Gate()
