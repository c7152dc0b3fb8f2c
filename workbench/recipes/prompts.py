"""A prompt that a person may leave to the base model, or explicitly want none of."""

from typing import Annotated

from pydantic import AfterValidator

#: How 'no prompt' is written where an empty field means 'the base model's own'.
NO_PROMPT = '""'


def _read(text: str | None) -> str | None:
    return "" if text is not None and text.strip() in (NO_PROMPT, "''") else text


#: None: the base model's own; '' (or two quotation marks): none at all.
OptionalPrompt = Annotated[str | None, AfterValidator(_read)]
