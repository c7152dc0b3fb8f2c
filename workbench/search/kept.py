"""Keeps the last few things used in memory."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Kept(Generic[T]):
    """The last few things used, by key; the one unused for longest goes first."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: OrderedDict[str, T] = OrderedDict()
        self._marks: dict[str, object] = {}

    def get(self, key: str, make: Callable[[], T], mark: object = None) -> T:
        """The thing of that key, made where it is not kept, or was kept with another ``mark``."""
        if key in self._kept and self._marks[key] != mark:
            del self._kept[key]
        if key not in self._kept:
            while len(self._kept) >= self._size:
                self._marks.pop(self._kept.popitem(last=False)[0])
            self._kept[key] = make()
        self._marks[key] = mark
        self._kept.move_to_end(key)
        return self._kept[key]

    def keys(self) -> list[str]:
        return list(self._kept)
