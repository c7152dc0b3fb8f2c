"""The key: what opens, what will not do as one, and that it is left nowhere."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import BadInput
from workbench.serving.guesses import Guesses
from workbench.serving.keys import VARIABLE, ApiKey, take_key

GOOD = "0123456789-0123456789"


def test_only_the_key_opens() -> None:
    key = ApiKey.of(GOOD)
    assert key.opened_by(f"Bearer {GOOD}")
    assert key.opened_by(f"bearer  {GOOD} ")
    for said in ("", GOOD, f"Basic {GOOD}", f"Bearer {GOOD}x", f"Bearer {GOOD[:-1]}", "Bearer ü"):
        assert not key.opened_by(said)
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


def test_who_tries_many_wrong_keys_waits_and_others_do_not() -> None:
    key = ApiKey.of(GOOD)
    for number in range(key.guesses.most):
        assert key.wait("10.0.0.1") == 0
        assert not key.admits(f"Bearer guess-{number}", "10.0.0.1")
    assert 0 < key.wait("10.0.0.1") <= 60
    assert not key.admits(f"Bearer {GOOD}", "10.0.0.1"), "a guess that is right tells nothing"
    assert key.admits(f"Bearer {GOOD}", "10.0.0.2")


def test_one_wrong_key_again_and_again_guesses_nothing() -> None:
    key = ApiKey.of(GOOD)
    for _ in range(100):
        assert not key.admits("Bearer an-old-key", "10.0.0.1")
        assert not key.admits("", "10.0.0.1")
    assert key.admits(f"Bearer {GOOD}", "10.0.0.1")


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 20)), max_size=60))
def test_nobody_tries_more_than_so_many_in_any_minute(tries: list[tuple[int, float]]) -> None:
    guesses, now, number = Guesses(most=3), 0.0, 0
    evaluated: dict[str, list[float]] = {}
    for address, later in tries:
        now, number = now + later, number + 1
        if guesses.wait(str(address), now) == 0:
            guesses.wrong(str(address), str(number).encode(), now)
            evaluated.setdefault(str(address), []).append(now)
    for times in evaluated.values():
        for at in times:
            assert sum(at - guesses.window < other <= at for other in times) <= 3
    # Who waits as long as was said may try again, and what is long ago is forgotten.
    for address in evaluated:
        assert guesses.wait(address, now + guesses.wait(address, now) + 1e-6) == 0
    guesses.wrong("another", b"", now + 61)
    assert list(guesses._wrong) == ["another"]
