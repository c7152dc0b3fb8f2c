import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import BaseModel, ValidationError

from workbench import extensions
from workbench.errors import BadInput
from workbench.extensions import EXTENSIONS_VARIABLE, OneOf, Registry
from workbench.recipes.base import Recipe, setting
from workbench.recipes.describe import describe


@dataclass(frozen=True)
class Fruit:
    name: str


#: Set by an extension that has begun, and by a test that lets it go on.
BEGUN, GO_ON = threading.Event(), threading.Event()
FRUITS = Registry("fruit", [Fruit("apple"), Fruit("pear")])


@pytest.fixture(autouse=True)
def plum() -> Iterator[None]:
    yield
    for name in set(FRUITS.names()) - {"apple", "pear"}:
        FRUITS.unregister(name)


def use(monkeypatch: pytest.MonkeyPatch, *paths: Path) -> None:
    monkeypatch.setenv(EXTENSIONS_VARIABLE, os.pathsep.join(map(str, paths)))


PLUM = "from tests.workbench.test_extensions import FRUITS, Fruit\nFRUITS.register(Fruit({!r}))\n"


def test_a_folder_of_files_is_imported_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "ext_a.py").write_text(PLUM.format("plum"))
    (tmp_path / "ext_b.py").write_text(PLUM.format("quince"))
    (tmp_path / "notes.txt").write_text("no Python")
    use(monkeypatch, tmp_path)
    assert FRUITS.names() == ("apple", "pear", "plum", "quince")
    assert "plum" in FRUITS and len(FRUITS.all()) == 4


def test_a_name_is_given_once() -> None:
    with pytest.raises(BadInput, match="already a fruit called 'apple'"):
        FRUITS.register(Fruit("apple"))


def test_an_unknown_name_is_told_with_the_known_ones() -> None:
    with pytest.raises(BadInput, match="no fruit called 'plum'") as told:
        FRUITS.get("plum")
    assert told.value.hint == "Known: apple, pear."


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "is not there"),
        ("def", "cannot be loaded: SyntaxError"),
        ("raise OSError('no disk')", "cannot be loaded: OSError: no disk"),
        (PLUM.format("apple"), "already a fruit called 'apple'"),
    ],
)
def test_a_bad_extension_is_named_at_each_look(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str | None, said: str
) -> None:
    file = tmp_path / "ext_bad.py"
    if text is not None:
        file.write_text(text)
    use(monkeypatch, file)
    for _ in range(2):
        with pytest.raises(BadInput, match=said) as told:
            FRUITS.names()
        assert str(file) in told.value.message


class Basket(Recipe):
    task = "basket"
    fruit: Annotated[str, OneOf(FRUITS.names)] = setting("apple", help="Which.")


def test_a_recipe_chooses_among_what_is_registered() -> None:
    (field,) = describe(Basket)
    assert (field.kind, field.choices, field.default) == ("choice", ("apple", "pear"), "apple")
    with pytest.raises(ValidationError, match="It must be 'apple' or 'pear'"):
        Basket(fruit="plum")
    FRUITS.register(Fruit("plum"))
    assert Basket(fruit="plum").fruit == "plum"
    assert describe(Basket)[0].choices == ("apple", "pear", "plum")


def test_a_list_may_choose_too() -> None:
    class Salad(BaseModel):
        fruits: list[Annotated[str, OneOf(FRUITS.names)]]

    with pytest.raises(ValidationError, match="or 'pear'"):
        Salad(fruits=["apple", "nut"])


def test_files_of_one_name_in_two_folders_are_both_imported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for folder, fruit in (("a", "plum"), ("b", "quince")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "ext_same.py").write_text(PLUM.format(fruit))
    use(monkeypatch, tmp_path / "a", tmp_path / "b")
    assert FRUITS.names()[2:] == ("plum", "quince")


def test_a_broken_extension_says_the_same_at_each_look(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "ext_half.py"
    file.write_text(PLUM.format("plum") + "raise OSError('no disk')\n")
    use(monkeypatch, file)
    for _ in range(2):
        with pytest.raises(BadInput, match="OSError: no disk"):
            FRUITS.names()


def test_another_thread_waits_until_all_is_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "ext_slow.py"
    file.write_text(
        "from tests.workbench import test_extensions as here\n"
        "here.BEGUN.set()\nhere.GO_ON.wait(60)\n" + PLUM.format("plum")
    )
    use(monkeypatch, file)
    with ThreadPoolExecutor() as threads:
        first = threads.submit(FRUITS.names)
        assert BEGUN.wait(60)
        second = threads.submit(FRUITS.names)
        wait([second], timeout=0.2)
        GO_ON.set()
        assert first.result() == second.result() == ("apple", "pear", "plum")


def test_processes_started_in_another_folder_find_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "ext_here.py").write_text(PLUM.format("plum"))
    monkeypatch.chdir(tmp_path)
    use(monkeypatch, Path("ext_here.py"))
    assert "plum" in FRUITS
    assert os.environ[EXTENSIONS_VARIABLE] == str(tmp_path / "ext_here.py")


def test_it_is_loaded_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "ext_once.py").write_text(PLUM.format("medlar"))
    use(monkeypatch, tmp_path / "ext_once.py")
    extensions.load()
    extensions.load()
    assert FRUITS.names().count("medlar") == 1
