"""Jobs of a home from before they had the ids of what their recipes name."""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from storage.store import Store, open_store

OLD = Path(__file__).parent / "home_0003"
ONE, TWO = "ce1def2add3e", "97eb0462bb32"
CHECK, CHECK_OF_TWO, EVALUATE, BLEND = "86af079078", "bf455a9bd3", "0566ffce85", "66d2d3b9ef"


@pytest.fixture
def store(home: Path) -> Iterator[Store]:
    """Two data sets and the packaged model are there, with the jobs that named them: the blend
    began before there was a 'two', the later check is one of its measured runs."""
    shutil.copytree(OLD, home)
    with closing(sqlite3.connect(home / "workbench.db")) as connection:
        connection.executescript((home / "workbench.sql").read_text(encoding="utf-8"))
        began = "UPDATE jobs SET started_at = (SELECT created_at - 1 FROM datasets WHERE id = ?)"
        connection.execute(f"{began} WHERE id = ?", (TWO, BLEND))
        values = {"dataset": "two", "model": "bm25", "guide_model": "mine"}
        recipe = {"kind": "embedding", "values": values, "dataset": TWO, "model": "a/hub-model"}
        connection.execute(
            "UPDATE jobs SET task = 'measure', recipe = ? WHERE id = ?",
            (json.dumps(recipe), CHECK_OF_TWO),
        )
        connection.execute(
            "INSERT INTO models SELECT 'm1', 'mine', kind, path, base, contract, '{}', verdict,"
            " job_id, 1.0, bytes FROM models WHERE name = 'all-MiniLM-L6-v2'"
        )
        connection.commit()
    opened = open_store(home)
    yield opened
    opened.close()


def references(store: Store, id: str) -> dict[str, str]:
    job = store.jobs.get(id)
    assert job is not None
    return job.references


def test_names_that_are_there_have_their_ids(store: Store) -> None:
    assert references(store, CHECK) == {"dataset": ONE}
    assert references(store, EVALUATE) == {"dataset": ONE, "second_dataset": TWO}


def test_a_recipe_inside_a_recipe_has_them_too(store: Store) -> None:
    found = references(store, CHECK_OF_TWO)
    assert found == {"dataset": TWO, "values.dataset": TWO, "values.guide_model": "m1"}


def test_a_name_that_another_thing_has_by_now_stays_a_name(store: Store) -> None:
    assert references(store, BLEND) == {"dataset": ONE}, "none for second_dataset, then another one"


def test_the_files_beside_say_the_same(store: Store, home: Path) -> None:
    for id in (CHECK, EVALUATE):
        content = json.loads((home / "jobs" / id / "recipe.json").read_text(encoding="utf-8"))
        assert content["references"] == references(store, id)
        assert content["recipe"]["dataset"] == "one"
