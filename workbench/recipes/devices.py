"""How many devices train one model together: a number, 'all', or GPUs by name."""

import re
from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

ALL = "all"
_GPU = "gpu:"
_NAMED = re.compile(r"gpu:[\w-]+(,gpu:[\w-]+)*")
MOST = 64


def _plain(value: object) -> object:
    """A number, as JSON and YAML give it, is as good as its text."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _checked(text: str) -> str:
    plain = re.sub(r"\s+", "", text).lower() or "1"
    if plain == ALL or _NAMED.fullmatch(plain):
        return plain
    if plain.isdecimal() and 1 <= int(plain) <= MOST:
        return str(int(plain))
    raise ValueError(
        f"Write a number from 1 to {MOST}, 'all', or GPUs by name such as gpu:0,gpu:2."
    )


Devices = Annotated[str, BeforeValidator(_plain), AfterValidator(_checked)]


def named(devices: str) -> tuple[str, ...]:
    """The GPUs that were asked for by name; none where a number or 'all' was."""
    if not devices.startswith(_GPU):
        return ()
    return tuple(dict.fromkeys(part.removeprefix(_GPU) for part in devices.split(",")))


def how_many(devices: str, gpus: Sequence[str]) -> int:
    """How many processes that is on a machine with these GPUs (none: on the CPU)."""
    if devices == ALL:
        return max(1, len(gpus))
    return len(named(devices)) or int(devices)
