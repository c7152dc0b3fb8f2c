"""Which key may be sent where: said at the start, compared after parsing, chosen by a recipe."""

import pytest

from workbench.endpoints import KEYS_VARIABLE, EndpointKeys, KeyNotAllowed
from workbench.errors import BadInput, BadRecipe
from workbench.recipes.answer import AnswerRecipe
from workbench.recipes.fields import origin

ALLOWED = "https://api.example.com"


def recipe(endpoint: str, key_variable: str = "") -> AnswerRecipe:
    about = {"index": "i", "endpoint": endpoint, "endpoint_model": "m"}
    return AnswerRecipe.read({**about, "key_variable": key_variable})


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> EndpointKeys:
    monkeypatch.setenv("MY_KEY", " sk-mine ")
    monkeypatch.setenv("OTHER", "sk-other")
    return EndpointKeys.read([f"MY_KEY={ALLOWED}", "OTHER=http://127.0.0.1:8000"])


@pytest.mark.parametrize(
    "same",
    [
        f"{ALLOWED}/v1",
        "https://api.example.com:443/v1",
        "HTTPS://API.example.COM/v1",
        "https://api.example.com:00443",
    ],
)
def test_the_same_origin_written_otherwise(keys: EndpointKeys, same: str) -> None:
    for variable in ("", "MY_KEY"):
        assert keys.key(recipe(same, variable)) == "sk-mine"
    with pytest.raises(KeyNotAllowed, match="OTHER may not be sent to"):
        keys.key(recipe(same, "OTHER"))


@pytest.mark.parametrize(
    "other",
    [
        "http://api.example.com/v1",
        "http://api.example.com:443/v1",
        "https://api.example.com:8443/v1",
        "https://api.example.com./v1",
        "https://api.example.com.evil.example/v1",
        "https://evil.example/api.example.com",
        "https://evil.example/https://api.example.com",
        "https://xapi.example.com",
        "https://example.com",
        "https://127.0.0.1:8000/v1",
        "http://127.0.0.1/v1",
        "http://127.1:8000/v1",
        "http://2130706433:8000/v1",
        "http://[::1]:8000/v1",
    ],
)
def test_another_origin_is_sent_no_key(keys: EndpointKeys, other: str) -> None:
    assert keys.key(recipe(other)) == ""
    for variable in ("MY_KEY", "OTHER", "PATH", "NOT_SET_ANYWHERE"):
        with pytest.raises(KeyNotAllowed) as refused:
            keys.key(recipe(other, variable))
        assert set(refused.value.details["fields"]) == {"key_variable"}
        assert "sk-" not in str(refused.value.to_dict())


@pytest.mark.parametrize(
    "trick",
    [
        "https://api.example.com@evil.example/v1",
        "https://api.example.com:x@evil.example/v1",
        "https://@api.example.com/v1",
        "https://api.example.com\\@evil.example/v1",
        "https://evil.example\\@api.example.com/v1",
        "https://evil.example\\.api.example.com/v1",
        "https://api.example.com%2eevil.example/v1",
        "https://api.example.com\t.evil.example/v1",
        "https://api.example.com /v1",
        "https://api\u3002example.com/v1",
        "https://api.example.com:443:80/v1",
        "https://api.example.com:99999/v1",
        "https://api.example.com:-1/v1",
        "https://[::1/v1",
        "https://[::1%25eth0]/v1",
        "https:///v1",
        "https:api.example.com/v1",
    ],
)
def test_what_programs_read_differently_is_no_address(trick: str) -> None:
    with pytest.raises(BadRecipe) as refused:
        recipe(trick)
    assert "endpoint" in refused.value.details["fields"]


def test_one_address_of_ipv6_is_one_origin() -> None:
    keys = EndpointKeys.read(["MY_KEY=http://[::1]:8000"])
    assert keys.variable(recipe("http://[0:0:0:0:0:0:0:1]:8000/v1")) == "MY_KEY"
    assert keys.variable(recipe("http://[::2]:8000/v1")) == ""
    assert origin("http://[::ffff:1.2.3.4]:80/v1") == "http://[::ffff:102:304]"


def test_without_an_endpoint_there_is_nothing_to_send(keys: EndpointKeys) -> None:
    local = AnswerRecipe.read({"index": "i", "local_model": "m", "key_variable": "PATH"})
    assert keys.key(local) == ""


@pytest.mark.parametrize(
    "text",
    [
        *("MY_KEY", "MY_KEY=", f"={ALLOWED}", f"sk-live-123={ALLOWED}", "MY_KEY=api.example.com"),
        *(f"MY_KEY={ALLOWED}/v1", "MY_KEY=ftp://host", "MY_KEY=https://a@b", "MY_KEY=https://*"),
        *("MY_KEY=https://host?x", "MY_KEY=https://host#x", f"MY KEY={ALLOWED}"),
    ],
)
def test_a_pair_that_will_not_do_is_a_sentence_without_what_may_be_a_key(text: str) -> None:
    with pytest.raises(BadInput, match="NAME=ORIGIN") as refused:
        EndpointKeys.read([text])
    assert "sk-live-123" not in str(refused.value)


def test_a_worker_is_told_the_pairs(keys: EndpointKeys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEYS_VARIABLE, str(keys))
    assert EndpointKeys.of_environment() == keys
    monkeypatch.delenv(KEYS_VARIABLE)
    assert EndpointKeys.of_environment().pairs == ()
