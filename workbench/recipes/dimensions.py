"""Numbers of dimensions as a person types them: '64, 128, 256', or 'auto'."""

from typing import Annotated

from pydantic import AfterValidator

from workbench.errors import BadInput

AUTO = "auto"
#: 'auto' halves the model's dimensions down to this.
LEAST = 32
MOST = 12


def read_dimensions(text: str) -> list[int]:
    """The numbers in the text, the largest first; none for '' and 'auto'. Raises ValueError."""
    if text.strip().lower() in ("", AUTO):
        return []
    parts = [part for part in text.replace(";", ",").replace(",", " ").split() if part]
    if not all(part.isdecimal() and 1 <= int(part) <= 100_000 for part in parts):
        raise ValueError("Give whole numbers with commas between them, such as 64, 128, or 'auto'.")
    found = sorted({int(part) for part in parts}, reverse=True)
    if len(found) > MOST:
        raise ValueError(f"At most {MOST} numbers of dimensions can be measured in one job.")
    return found


def checked_dimensions(text: str) -> str:
    """The text, if it can be read; raises ValueError."""
    read_dimensions(text)
    return text.strip()


def dimensions_of(text: str, full: int) -> list[int]:
    """What is measured of a model with ``full`` dimensions: all of them first, then fewer.

    Raises :class:`BadInput` where every number asked for is as many as the model has, or more.
    """
    if text.strip().lower() == AUTO:
        halves = [full]
        while halves[-1] // 2 >= LEAST:
            halves.append(halves[-1] // 2)
        return halves
    fewer = [size for size in read_dimensions(text) if size < full]
    if not fewer:
        raise BadInput(
            f"The model has {full} dimensions, so it cannot be cut to {text}.",
            "Give numbers below that, or 'auto'.",
        )
    return [full, *fewer]


def _numbers(text: str) -> str:
    if any(not part.strip().isdecimal() for part in text.split(",") if text.strip()):
        raise ValueError("Write whole numbers with commas between them, such as 256, 128.")
    return text


#: Whole numbers in one line; an empty line is none.
Numbers = Annotated[str, AfterValidator(_numbers)]
