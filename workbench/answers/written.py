"""What writing an answer took."""

from dataclasses import dataclass
from typing import Any


@dataclass
class Took:
    """Tokens, where the model tells, and how it ended."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    #: Whether the model said that it was done; a stream that breaks off does not.
    ended: bool = False
    #: Whether the limit of tokens ended it.
    cut: bool = False

    def reset(self) -> None:
        """For another try."""
        self.prompt_tokens = self.completion_tokens = None
        self.ended = self.cut = False

    def count(self, usage: Any) -> None:
        """What an endpoint says of its tokens, if it is numbers. The last word counts."""
        for name in ("prompt_tokens", "completion_tokens"):
            value = getattr(usage, name, None)
            if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
                setattr(self, name, value)
