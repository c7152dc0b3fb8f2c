"""Records go in and come out unchanged; names are unique."""

from dataclasses import replace

import pytest

from storage.errors import NameExists
from storage.records import DatasetVersion
from storage.store import Store
from tests.storage import make


def test_a_model_comes_back_as_it_was_written(store: Store) -> None:
    written = store.models.insert(make.model("m1", "mine", base="MiniLM", job_id="j1"))
    assert store.models.get("m1") == written
    assert store.models.by_name("mine") == written
    assert store.models.get("mine") is None
    assert store.models.by_name("m1") is None


def test_a_taken_name_is_refused_and_the_first_stays(store: Store) -> None:
    first = store.models.insert(make.model("m1", "mine"))
    with pytest.raises(NameExists, match="mine"):
        store.models.insert(make.model("m2", "mine"))
    store.indexes.insert(make.index("i1", "both"))
    with pytest.raises(NameExists):
        store.indexes.insert(make.index("i2", "both"))
    store.datasets.insert(*make.dataset("d1", "data"))
    with pytest.raises(NameExists):
        store.datasets.insert(*make.dataset("d2", "data"))
    assert store.models.list() == [first]


def test_a_model_can_be_updated(store: Store) -> None:
    written = store.models.insert(make.model("m1", "mine"))
    store.models.update(replace(written, name="renamed", verdict="no-better"))
    found = store.models.get("m1")
    assert found is not None
    assert (found.name, found.verdict) == ("renamed", "no-better")


def test_lists_are_newest_first_and_can_be_filtered(store: Store) -> None:
    for number, split in enumerate(["test", "dev", "test"]):
        store.evaluations.insert(
            make.evaluation(f"e{number}", split=split, created_at=float(number), job_id="j")
        )
    assert [one.id for one in store.evaluations.list()] == ["e2", "e1", "e0"]
    assert [one.id for one in store.evaluations.list(split="test")] == ["e2", "e0"]
    assert [one.id for one in store.evaluations.for_job("j")] == ["e2", "e1", "e0"]
    assert store.evaluations.for_job("another") == []


def test_an_index_of_many_gigabytes_fits(store: Store) -> None:
    written = store.indexes.insert(make.index("i1", "large"))
    assert store.indexes.by_name("large") == written
    assert store.indexes.delete("i1")
    assert not store.indexes.delete("i1")
    assert store.indexes.list() == []


def test_a_data_set_shows_the_summary_of_its_newest_version(store: Store) -> None:
    written, first = make.dataset("d1", "data")
    store.datasets.insert(written, first)
    assert store.datasets.get("d1") == written
    second = DatasetVersion("d1", 2, 1, "datasets/d1/v2/manifest.json", {"queries": 5}, 2.0)
    store.datasets.add_version(second)
    found = store.datasets.by_name("data")
    assert found is not None
    assert (found.version, found.summary) == (2, {"queries": 5})
    assert store.datasets.versions("d1") == [first, second]
    assert store.datasets.version("d1", 1) == first
    assert store.datasets.version("d1", 3) is None


def test_a_data_set_goes_with_its_versions(store: Store) -> None:
    store.datasets.insert(*make.dataset("d1", "data"))
    assert store.datasets.delete("d1")
    assert store.datasets.list() == []
    assert store.datasets.versions("d1") == []
    store.datasets.insert(*make.dataset("d2", "data"))


def test_another_version_or_name_of_a_data_set(store: Store) -> None:
    store.datasets.insert(*make.dataset("d1", "data"))
    store.datasets.insert(*make.dataset("d2", "other"))
    second = DatasetVersion("d1", 2, 1, "datasets/d1/v2/manifest.json", {"queries": 5}, 2.0)
    store.datasets.add_version(second)
    store.datasets.set_version("d1", 1)
    found = store.datasets.get("d1")
    assert found is not None and found.version == 1
    store.datasets.rename("d1", "new")
    assert store.datasets.by_name("data") is None
    with pytest.raises(NameExists):
        store.datasets.rename("d1", "other")


def test_an_index_can_be_updated(store: Store) -> None:
    written = store.indexes.insert(make.index("i1", "mine"))
    store.indexes.update(replace(written, documents=21, summary={"recall@10": 0.97}))
    found = store.indexes.get("i1")
    assert found is not None
    assert (found.name, found.documents, found.summary) == ("mine", 21, {"recall@10": 0.97})


def test_picks_are_found_by_the_two_sides(store: Store) -> None:
    written = store.picks.insert(make.pick("p1", first="a", second="b"))
    store.picks.insert(make.pick("p2", first="a", second="c"))
    assert store.picks.between("a", "b") == [written]
    assert store.picks.between("b", "a") == []
