"""What a model thinks aloud before its answer, between ``<think>`` and ``</think>``: left out."""

from dataclasses import dataclass

_BEGIN, _END = "<think>", "</think>"


@dataclass
class Thinking:
    """Hands on an answer in pieces of any size, without the thought that it begins with."""

    #: 'start' until it is known whether there is one, 'inside' it, 'after' it.
    _where: str = "start"
    _held: str = ""

    def feed(self, text: str) -> str:
        """What is to be shown now."""
        if self._where == "after":
            return text
        self._held += text
        if self._where == "start":
            begun = self._held.lstrip()
            if begun and begun[: len(_BEGIN)] == _BEGIN[: len(begun)] and len(begun) < len(_BEGIN):
                return ""
            if begun.startswith(_BEGIN):
                self._where = "inside"
            elif begun:
                return self.close()
        if self._where == "inside" and _END in self._held:
            rest = self._held.partition(_END)[2]
            self._where, self._held = "after", ""
            return rest
        return ""

    def close(self) -> str:
        """The rest, at the end; of a thought that was not ended, nothing."""
        rest = "" if self._where == "inside" else self._held
        self._where, self._held = "after", ""
        return rest
