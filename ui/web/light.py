"""Gradio, as light as this page can have it: two fifths of its memory, a third of its time.

Importing it brings pandas, for tables and plots that the page does not have, and the protocol of
agents wherever that is installed. Drawing asks for the signature of a component's class several
times per component.
"""

import gc
import importlib
import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any


@contextmanager
def starting(*, agents: bool) -> Iterator[None]:
    """While Gradio is imported and the page is drawn. ``agents``: with their protocol.

    Nothing that is made meanwhile is garbage: Python does not look for any, then or later.
    """
    gc.disable()
    try:
        _import_gradio(agents)
        yield
    finally:
        gc.freeze()
        gc.enable()


class _Later(ModuleType):
    """Stands for a module until something of it is asked for."""

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


def _import_gradio(agents: bool) -> None:
    """Does nothing to modules that were imported before."""
    held: dict[str, Any] = {"pandas": _Later("pandas")}
    if not agents:
        held["mcp"] = None  # To Gradio it is then not installed.
    held = {name: module for name, module in held.items() if name not in sys.modules}
    sys.modules.update(held)
    try:
        blocks = importlib.import_module("gradio.blocks")
        importlib.import_module("gradio")
    finally:
        # Others look here whether pandas is in use.
        for name, module in held.items():
            if name in sys.modules and sys.modules[name] is module:
                del sys.modules[name]
    _keep_signatures(blocks.Block)


def _keep_signatures(kind: type) -> None:
    """Where ``inspect`` looks before it works them out, for a class and those made from it."""
    made = vars(kind).get("__init__")
    if made is not None:
        signature = inspect.signature(made)
        made.__signature__ = signature
        if hasattr(made, "__wrapped__"):
            made.__wrapped__.__signature__ = signature
    for one in kind.__subclasses__():
        _keep_signatures(one)
