"""Records, the tables behind them, and their migrations. Imports nothing else of ours.

``open_store`` and ``Store`` are in ``storage.store``; they are found here too, imported on use, so
that reading a record's type does not load the database library.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from storage.store import Store, open_store

__all__ = ["Store", "open_store"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from storage import store

        return getattr(store, name)
    raise AttributeError(f"module 'storage' has no attribute {name!r}")
