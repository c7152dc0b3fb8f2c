"""Messages between client and worker, and waiting for one."""

from dataclasses import replace
from multiprocessing import Pipe

from workbench.search.protocol import arrives, pack, receive, send, unpack
from workbench.search.results import Hit, SearchResult


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
