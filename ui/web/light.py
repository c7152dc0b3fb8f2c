"""Gradio, as light as this page can have it: imported in a third of the time, with 80 MB less.

Importing it brings pandas, for tables and plots that the page does not have, and the protocol of
agents wherever that is installed; it also writes stubs for editors beside its own files. Drawing
asks for the signature of a component's class several times per component.
"""

import gc
import importlib
import inspect
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any


@contextmanager
def starting(*, agents: bool) -> Iterator[None]:
    """While Gradio is imported and the page is drawn. ``agents``: with their protocol.

    Hardly anything that is made meanwhile is garbage: Python does not look for any, then or later.
    """
    gc.disable()
    try:
        _import_gradio(agents)
        yield
    finally:
        gc.freeze()
        gc.enable()


def _import_gradio(agents: bool) -> None:
    """What was imported before stays as it is."""
    held: dict[str, Any] = {"pandas": _Later("pandas")}
    if not agents:
        held["mcp"] = None  # To Gradio it is then not installed.
    held = {name: module for name, module in held.items() if name not in sys.modules}
    sys.modules.update(held)
    finder = _WithoutStubs()
    sys.meta_path.insert(0, finder)
    try:
        importlib.import_module("gradio")
    finally:
        sys.meta_path.remove(finder)
        # Others look here whether pandas is in use.
        for name, module in held.items():
            if name in sys.modules and sys.modules[name] is module:
                del sys.modules[name]
    _keep_signatures(importlib.import_module("gradio.blocks").Block)


class _Later(ModuleType):
    """Stands for a module until something of it is asked for."""

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


class _WithoutStubs(MetaPathFinder):
    """Gradio's modules without what they do for editors alone: to read, parse and write a file for
    each class of components, and to fill in the documentation of its events."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in ("gradio.component_meta", "gradio.events"):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Undocumented(spec.loader)
        return spec


class _Undocumented(Loader):
    def __init__(self, real: Loader) -> None:
        self._real = real

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._real.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._real.exec_module(module)
        for held, name in ((module, "create_or_modify_pyi"), (_events(module), "set_doc")):
            if hasattr(held, name):
                setattr(held, name, lambda *_, **__: None)


def _events(module: ModuleType) -> Any:
    return getattr(module, "EventListener", None)


def _keep_signatures(kind: type[Any]) -> None:
    """Where ``inspect`` looks before it works them out, for a class and those made from it."""
    made = vars(kind).get("__init__")
    if made is not None:
        signature = inspect.signature(made)
        for function in (made, getattr(made, "__wrapped__", made)):
            function.__signature__ = signature
    for one in kind.__subclasses__():
        _keep_signatures(one)
