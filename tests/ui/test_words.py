"""Every word on the page comes from ui/words, and every word there is on the page."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import ui
import workbench.data_check
from ui.kit.form import label
from ui.tabs.models.details import CONTRACT
from ui.words import (
    LANGUAGE,
    LANGUAGES,
    add_folder,
    known,
    language,
    load,
    read_file,
    section,
    speaking,
    t,
)
from ui.words.amounts import ago, count, duration, size
from workbench.recipes.answer import AnswerRecipe
from workbench.recipes.base import Recipe
from workbench.recipes.describe import FieldSpec, describe
from workbench.recipes.quantize import VECTOR_METHODS
from workbench.recipes.train import KINDS
from workbench.records import JobStatus
from workbench.tasks import all_tasks

FOLDER = Path(ui.__file__).parent
#: Sections that are handed to scripts whole.
WHOLE = ("live.", "drop.", "notice.", "answering.")
#: Parameters of components that hold words for people.
WORDY = {"label", "info", "placeholder", "title", "value"}
#: A place in words: ``{name}``, or ``{count:form|form}``.
PLACE = r"{(\w+)(?=[}:])"


def sources() -> list[Path]:
    return sorted(FOLDER.rglob("*.py"))


def calls(path: Path) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield node


def names_of_words(path: Path) -> set[str]:
    """Every string literal that is a key: also those that are handed to t() by a variable."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def fixes() -> set[str]:
    """What the checker can fix, by its source: a fix is there only where something is wrong."""
    folder = Path(workbench.data_check.__file__).parent
    source = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    return {
        *re.findall(r'Fix\(\s*"([\w-]+)"', source),
        *re.findall(r'"((?:join|drop|keep)-[\w-]+)"', source),
    }


def families() -> set[str]:
    """Keys that are put together from what the engine has."""
    recipes = [*(task.recipe for task in all_tasks().values()), AnswerRecipe]
    specs = [spec for recipe in recipes for spec in describe(recipe)]
    return {
        *(f"status.{status.value}" for status in JobStatus),
        *(f"task.{name}" for name in all_tasks()),
        *(f"lab.choice_vectors.{name}" for name in VECTOR_METHODS[1:]),
        *(label_key(recipe, spec) for recipe in recipes for spec in describe(recipe)),
        *(f"group.{spec.group}" for spec in specs),
        *(f"preset.{preset}" for recipe in recipes for preset in recipe.presets),
        *(f"split.{split}" for split in ("train", "dev", "test")),
        *(f"contract.{name}" for name in CONTRACT),
        *(f"start.line_{n}" for n in (1, 2, 3)),
        *(f"start.state_{state}" for state in ("waiting", "running", "done", "failed")),
        *(f"tab.{tab}" for tab in ("start", "data", "train", "compare", "search")),
        *(f"tab.{tab}" for tab in ("models", "jobs")),
        *(f"kind.{kind}" for kind in KINDS),
        *(f"choice.kind.{kind}" for kind in KINDS),
        *(f"fixed_by.{code}" for code in fixes()),
        *(f"train.kind_{kind}" for kind in KINDS),
        "verdict.no-better",
        "verdict.below-first-stage",
    }


def label_key(recipe: type[Recipe], spec: FieldSpec) -> str:
    own = f"field.{recipe.task}.{spec.name}"
    return own if known(own) else f"field.{spec.name}"


def optional() -> set[str]:
    """Words for values that may do without: where there are none, the value itself is shown."""
    recipes = [*(task.recipe for task in all_tasks().values()), AnswerRecipe]
    specs = [spec for recipe in recipes for spec in describe(recipe)]
    chosen = [f"{spec.name}.{choice}" for spec in specs for choice in spec.choices]
    # A field that some tasks call by a name of their own has one for the others.
    fields = {f"field.{spec.name}" for spec in specs}
    return {f"choice.{one}" for one in chosen} | fields


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.stem)
def test_every_key_has_words(path: Path) -> None:
    for call in calls(path):
        if isinstance(call.func, ast.Name) and call.func.id == "t":
            first = call.args[0]
            keys = [node.value for node in ast.walk(first) if isinstance(node, ast.Constant)]
            if not isinstance(first, ast.JoinedStr):
                for key in keys:
                    if isinstance(key, str) and "." in key:
                        assert known(key), f"{path.name}:{call.lineno} {key}"


def test_every_key_that_is_put_together_has_words() -> None:
    assert not [key for key in families() if not known(key)]


def test_no_words_are_left_over() -> None:
    used = set().union(*(names_of_words(path) for path in sources())) | families() | optional()
    spare = [key for key in load() if key not in used and not key.startswith(WHOLE)]
    assert not spare


def test_the_places_in_the_words_are_filled() -> None:
    """A call gives every place its words have, and no other."""
    for path in sources():
        for call in calls(path):
            if not (isinstance(call.func, ast.Name) and call.func.id == "t" and call.args):
                continue
            first = call.args[0]
            if isinstance(first, ast.Constant) and known(first.value):
                given = {keyword.arg for keyword in call.keywords}
                wanted = set(re.findall(PLACE, load()[first.value]))
                assert None in given or given == wanted, f"{path.name}:{call.lineno}"


@pytest.mark.parametrize(
    "path", [*sorted((FOLDER / "tabs").rglob("*.py")), FOLDER / "main.py"], ids=lambda p: p.stem
)
def test_no_words_stand_in_the_tabs_themselves(path: Path) -> None:
    for call in calls(path):
        if not (isinstance(call.func, ast.Attribute) and ast.unparse(call.func).startswith("gr.")):
            continue
        texts = [*call.args, *(word.value for word in call.keywords if word.arg in WORDY)]
        for text in texts:
            if isinstance(text, ast.Constant) and isinstance(text.value, str):
                assert not re.search(r"[A-Z]|\w \w", text.value), ast.unparse(call)


ENGLISH = sorted((FOLDER / "words").glob("en.*json"))
OTHERS = [name for name in LANGUAGES if name != LANGUAGE]


@pytest.mark.parametrize("path", ENGLISH, ids=lambda path: path.stem)
@pytest.mark.parametrize("other", OTHERS)
def test_a_language_has_every_key_and_every_place(path: Path, other: str) -> None:
    """In a file of the same name; no key more, and the same ``{places}``."""
    english = read_file(path)
    words = read_file(path.with_name(path.name.replace(LANGUAGE, other, 1)))
    assert not english.keys() - words.keys(), f"{other} lacks these"
    assert not words.keys() - english.keys(), "English does not know these"
    odd = [key for key, text in words.items() if places(text) != places(english[key])]
    assert not odd
    assert not [key for key, text in words.items() if english[key] and not text]


def places(text: str) -> set[str]:
    return set(re.findall(PLACE, text))


@pytest.mark.parametrize("other", OTHERS)
def test_a_language_has_no_files_that_english_lacks(other: str) -> None:
    files = {path.name.replace(other, LANGUAGE, 1) for path in FOLDER.glob(f"words/{other}.*json")}
    assert files == {path.name for path in ENGLISH}


def test_words_are_those_of_the_language_spoken() -> None:
    with speaking("zh"):
        assert (language(), t("tab.train"), section("notice")["show"]) == ("zh", "训练", "查看")
        assert (duration(65), size(999)) == ("1 分 5 秒", "999 字节")
    assert (language(), t("tab.train")) == ("en", "Train")


def test_a_key_is_in_one_file(tmp_path: Path) -> None:
    """The error names the key and both files, and the folder is not read."""
    (tmp_path / "en.toy.json").write_text('{"tab": {"train": "Toy"}}')
    with pytest.raises(ValueError, match=r"'tab\.train' are both in en\.json and in en\.toy\.json"):
        add_folder(tmp_path)
    assert t("tab.train") == "Train"


def test_a_key_is_in_a_file_once(tmp_path: Path) -> None:
    path = tmp_path / "en.toy.json"
    path.write_text('{"toy": {"a": "one", "a": "two"}}')
    with pytest.raises(ValueError, match=r"'a' are twice in en\.toy\.json"):
        read_file(path)


def test_a_field_is_called_what_its_task_calls_it() -> None:
    assert label("size", "data-sample") == "Queries"
    assert label("size", "draw-pictures") == "Size in pixels"


def test_an_unknown_key_is_an_error() -> None:
    with pytest.raises(KeyError):
        t("no.such.words")


def test_amounts() -> None:
    assert count(1234567) == "1,234,567"
    assert count(12.5) == "12.5"
    assert size(999) == "999 bytes"
    assert size(1_250_000) == "1.2 MB"
    assert duration(8.4) == "8 s"
    assert duration(65) == "1 min 5 s"
    assert duration(3600 * 2 + 300) == "2 h 5 min"
    assert ago(1000.0, now=1010.0) == t("amount.now")
    assert ago(1000.0, now=1000.0 + 7200) == "2 h ago"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", ago(1000.0, now=1e9))


def test_a_count_goes_with_the_form_of_what_is_counted() -> None:
    said = [t("compare.queries", count=given) for given in (0, 1, 2, 1234, "1", "1,234")]
    assert said == [
        f"{n} queries" if n != "1" else "1 query" for n in ["0", "1", "2", "1,234", "1", "1,234"]
    ]
    assert t("compare.measured", queries=1, split="dev") == "1 dev query"
    assert t("compare.measured", queries="2", split="dev") == "2 dev queries"
    with speaking("zh"):
        assert t("compare.queries", count=1) == "1 条查询"


def test_the_page_calls_metrics_by_the_words_of_its_language() -> None:
    """`workbench.comparison.names.label` knows English alone; the page has `metric_label`."""
    english = [
        str(path.relative_to(FOLDER))
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module == "workbench.comparison.names"
        if any(one.name == "label" for one in node.names)
    ]
    assert english == []
