"""What stays in memory: made again when its mark has changed."""

from workbench.search.found import LruCache


def test_another_mark_makes_it_again() -> None:
    kept: LruCache[str] = LruCache(2)
    assert kept.get("a", lambda: "old", {"pooling": "mean"}) == "old"
    assert kept.get("a", lambda: "new", {"pooling": "mean"}) == "old"
    assert kept.get("a", lambda: "new", {"pooling": "cls"}) == "new"
    assert kept.keys() == ["a"]


def test_what_was_dropped_may_come_back_with_any_mark() -> None:
    kept: LruCache[str] = LruCache(1)
    kept.get("a", lambda: "a", 1)
    kept.get("b", lambda: "b", 1)
    assert kept.get("a", lambda: "again", 2) == "again"
    assert kept.keys() == ["a"]
