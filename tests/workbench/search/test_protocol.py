"""Messages between client and worker, requests and answers, and waiting for one."""

from dataclasses import replace
from multiprocessing import Pipe

import numpy as np
import pytest

from workbench.errors import BadInput, SearchUnavailable
from workbench.search.encoded import Encoded, Scored
from workbench.search.protocol import (
    MOST_PAIRS,
    MOST_TEXTS,
    Embed,
    Fields,
    Hit,
    Request,
    Score,
    Search,
    SearchPicture,
    SearchResult,
    Status,
    Warm,
    Write,
    arrives,
    pack,
    receive,
    request_of,
    send,
    unpack,
)

_EACH: list[Request[object]] = [
    Status(),
    Warm(["one"], "orders"),
    Search(["one", "two"], "half a pair \ud83d", 5, "orders", 20, "year >= 2020"),
    SearchPicture(["one"], "/a/picture.png", 3, "", "pictures/1.png"),
    Fields("one"),
    Embed("encodes", ["a", "两"], "query"),
    Score("orders", ["q"], ["d", "e"], [[0, 0], [0, 1]]),
    Write("writes", "cpu", "prompt", 10, 0.5),
]


@pytest.mark.parametrize("request_", _EACH, ids=lambda one: one.operation)
def test_a_request_arrives_as_it_was_sent(request_: Request[object]) -> None:
    assert request_of(unpack(pack(request_.to_dict()))) == request_


def test_only_what_scores_pairs_is_given_the_time_for_it() -> None:
    assert {one.operation for one in _EACH if one.reranks} == {"warm", "search", "rerank"}
    assert not Search(["one"], "q", 5).reranks and not Warm(["one"]).reranks


@pytest.mark.parametrize(
    "message", [{"do": "forget"}, {"do": "fields"}, {"do": "status", "more": 1}, {"query": "q"}]
)
def test_a_request_of_another_version_is_a_sentence(message: dict[str, object]) -> None:
    with pytest.raises(SearchUnavailable, match="does not know"):
        request_of(message)


def test_what_is_too_much_for_one_message_is_refused() -> None:
    with pytest.raises(BadInput, match="texts are more"):
        Embed("encodes", [""] * (MOST_TEXTS + 1), "query")
    with pytest.raises(BadInput, match="pairs are more"):
        Score("orders", ["q"], ["d"], [[0, 0]] * (MOST_PAIRS + 1))


def test_numbers_arrive_as_they_were() -> None:
    vectors = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
    encoded = Encoded.from_dict(unpack(pack(Encoded(vectors, [1, 2, 3]).to_dict())))
    assert encoded.tokens == [1, 2, 3] and np.array_equal(encoded.vectors, vectors)
    said = unpack(pack(Scored(vectors[0], [7] * 4).to_dict()))
    assert np.array_equal(Scored.from_dict(said).scores, vectors[0])
    menu = unpack(pack({"lang": [["en", 3], ["de", 1]]}))
    assert Fields("one").read(menu) == {"lang": [("en", 3), ("de", 1)]}


def test_what_is_packed_is_unpacked() -> None:
    hit = Hit("d1", 3, 0.1234567890123, "Tëa", "两", relevant=True, first_rank=2, first_score=-1.5)
    hit = replace(hit, fields={"year": 2020, "tags": ["a", "两"], "more": {"by": None}})
    result = SearchResult([hit], {"total": 1.25}, "m", "i", query="q", known_relevant=0)
    assert SearchResult.from_dict(unpack(pack(result.to_dict()))) == result


def test_half_a_character_comes_through() -> None:
    message = {"do": "search", "query": "broken \ud83d here"}
    assert unpack(pack(message)) == message


def test_a_message_arrives_or_the_time_is_over() -> None:
    here, there = Pipe()
    assert not arrives(here, 0.01)
    send(there, {"answer": [1, 2]})
    assert arrives(here, 5)
    assert receive(here) == {"answer": [1, 2]}
    there.close()
    # That nobody is there any more can be read, too.
    assert arrives(here, 5)
    here.close()
