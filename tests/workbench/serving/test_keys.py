"""The key: what opens, what will not do as one, and that it is left nowhere."""

import os

import pytest

from workbench.errors import BadInput
from workbench.serving.api import VARIABLE, ApiKey, take_key

GOOD = "0123456789-0123456789"


def test_only_the_key_opens() -> None:
    key = ApiKey.of(GOOD)
    assert key.opened_by(f"Bearer {GOOD}")
    assert key.opened_by(f"bearer  {GOOD} ")
    for given in ("", GOOD, f"Basic {GOOD}", f"Bearer {GOOD}x", f"Bearer {GOOD[:-1]}", "Bearer ü"):
        assert not key.opened_by(given)
    assert GOOD not in repr(key)


@pytest.mark.parametrize(
    "bad", ["short", "x" * 19, "with a space in it 0123", "ü" * 30, "a\n" * 20]
)
def test_a_key_that_will_not_do_is_a_sentence_without_it(bad: str) -> None:
    with pytest.raises(BadInput, match="will not do") as error:
        ApiKey.of(bad)
    assert bad not in str(error.value)


def test_it_is_taken_from_the_environment_which_has_it_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(VARIABLE, f" {GOOD}\n")
    key, made = take_key()
    assert key.opens(GOOD)
    assert made == ""
    assert VARIABLE not in os.environ


def test_without_one_each_start_makes_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    (first, one), (second, other) = take_key(), take_key()
    assert first.opens(one)
    assert second.opens(other)
    assert one != other
    assert len(one) > 40
