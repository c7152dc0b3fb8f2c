"""Errors in sentences."""

from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from workbench.errors import value_sentence


def test_a_value_that_cannot_be_is_said_in_plain_words() -> None:
    class Shape(BaseModel):
        model_config = ConfigDict(extra="forbid")
        models: list[str] = Field(["a"], min_length=1, max_length=2)
        name: str = Field("a", min_length=1, max_length=3)
        code: str = Field("abc", min_length=3)
        epochs: float = Field(1, gt=0, le=9)
        steps: int = Field(1, ge=1, lt=9)
        kind: Literal["a", "b"] = "a"
        flag: bool = True
        own: str = ""

        @field_validator("own")
        @classmethod
        def check(cls, value: str) -> str:
            raise ValueError("Write a number from 1 to 64.")

    def said(**values: object) -> str:
        with pytest.raises(ValidationError) as raised:
            Shape.model_validate(values)
        return value_sentence(raised.value.errors()[0])

    assert said(models=[]) == "Give at least one."
    assert said(models=["a"] * 3) == "Give at most 2."
    assert said(models=3) == "It must be a list."
    assert said(name="") == "It must not be empty."
    assert said(name="long") == "It may have at most 3 characters."
    assert said(name=3) == "It must be a text."
    assert said(code="a") == "It needs at least 3 characters."
    assert said(epochs=0) == "It must be greater than 0."
    assert said(epochs=10) == "It must be at most 9."
    assert said(epochs="x") == "It must be a number."
    assert said(steps=0) == "It must be at least 1."
    assert said(steps=9) == "It must be less than 9."
    assert said(steps=1.5) == "It must be a whole number."
    assert said(kind="c") == "It must be 'a' or 'b'."
    assert said(flag="perhaps") == "It must be true or false."
    assert said(nothing=1) == "There is no such field."
    assert said(own="x") == "Write a number from 1 to 64."
