"""What the engine says can be read in every language of the page, none of it forgotten."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import storage
import workbench
from ui.kit.form import choice_label
from ui.words import LANGUAGE, LANGUAGES, speaking
from ui.words.sentences import PLACE, metric_label, pairs, row_said, said
from workbench.comparison.trained import expected
from workbench.data.export_held import SAID, told
from workbench.data.export_shapes import GRADES, OWN, TEACHER, Scale
from workbench.data.problems import PROBLEMS
from workbench.errors import BadRecipe, ModelNotFound
from workbench.models.precision import told as engine_told
from workbench.models.resolve import catalogue
from workbench.recipes.answer import AnswerRecipe
from workbench.recipes.describe import describe
from workbench.recipes.evaluate import EvaluateRecipe, IndexRecipe
from workbench.search.index_types import INDEX_TYPES
from workbench.tasks import all_tasks

ENGINE = Path(workbench.__file__).parent
OTHERS = [name for name in LANGUAGES if name != LANGUAGE]
#: What these write is no part of the page: the terminal, files that are taken away, log lines.
ELSEWHERE = {"cli", "commands", "reports", "takeaway"}
#: Of those, what the page has done for it, and whose refusals it shows.
SHOWN = {"push.py", "script.py", "rows.py", "snippet.py"}
#: Errors that only a mistake of ours can raise.
OURS = {"ValueError", "TypeError", "RuntimeError", "AssertionError", "KeyError", "Exception"}


def written(node: ast.AST) -> str | None:
    """A text as it stands in the source, with ``{}`` where something is filled in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        parts = (one.value if isinstance(one, ast.Constant) else "{}" for one in node.values)
        return "".join(map(str, parts))
    return None


def trees() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(ENGINE.rglob("*.py")):
        if not ELSEWHERE & set(path.relative_to(ENGINE).parts) or path.name in SHOWN:
            yield path, ast.parse(path.read_text(encoding="utf-8"))


def recorded() -> Iterator[ast.Module]:
    """The words that records have for themselves, such as the names of statuses."""
    for path in Path(storage.__file__).parent.rglob("*.py"):
        yield ast.parse(path.read_text(encoding="utf-8"))


def refusals() -> Iterator[tuple[str, str]]:
    """Every sentence that is raised as an error of ours: (where, sentence)."""
    for path, tree in trees():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Raise) or not isinstance(node.exc, ast.Call):
                continue
            if ast.unparse(node.exc.func) in OURS:
                continue
            for argument in node.exc.args:
                text = written(argument)
                if text and " " in text and re.search(r"[.?!]$", text):
                    yield (
                        f"{path.name}:{node.lineno}",
                        text.strip(),
                    )


def helps() -> set[str]:
    recipes = [*(task.recipe for task in all_tasks().values()), AnswerRecipe]
    return {spec.help for recipe in recipes for spec in describe(recipe)}


def remarks() -> list[str]:
    """What the catalogue says of models in words."""
    found = [text for one in catalogue() for text in (one.remark, one.languages, one.licence)]
    return [text for text in dict.fromkeys(found) if text and text not in ("MIT", "Apache-2.0")]


@pytest.mark.parametrize("other", OTHERS)
def test_every_remark_of_the_catalogue_can_be_read(other: str) -> None:
    """Each for itself: what fills a place in another sentence would be half a translation."""
    assert not [text for text in remarks() if text not in pairs(other)]


@pytest.mark.parametrize("other", OTHERS)
def test_every_refusal_can_be_read(other: str) -> None:
    lacking = [one for one in refusals() if one[1] not in pairs(other)]
    assert not lacking, f"ui/words/sentences/{other}.*.json lacks these"


@pytest.mark.parametrize("other", OTHERS)
def test_every_field_is_explained(other: str) -> None:
    with speaking(other):
        assert not [text for text in helps() if said(text) == text]


@pytest.mark.parametrize("other", OTHERS)
def test_every_problem_of_data_can_be_read(other: str) -> None:
    with speaking(other):
        for code, one in PROBLEMS.items():
            for text in (one.what.format(detail="x"), one.fix.format(hint="")):
                assert not text or text == "x" or said(text) != text, code


@pytest.mark.parametrize("other", OTHERS)
def test_what_an_export_leaves_out_can_be_read(other: str) -> None:
    with speaking(other):
        for what, sentence in SAID.items():
            [line] = told(Counter({what: 1234}), ())
            assert said(line) == pairs(other)[sentence].format("1,234"), what
        for scale in (Scale(OWN), Scale(TEACHER), Scale(GRADES), Scale(GRADES, 3)):
            assert not re.search("[a-z]{3}", said(scale.says()))


@pytest.mark.parametrize("other", OTHERS)
def test_no_sentence_is_kept_that_the_engine_does_not_say(other: str) -> None:
    """The longest piece of each stands somewhere in the engine."""
    engine = "\n".join(
        text
        for tree in [*(tree for _, tree in trees()), *recorded()]
        for node in ast.walk(tree)
        if (text := written(node))
    )
    engine += engine.replace("{{", "{").replace("}}", "}")
    engine += "\n".join(remarks())
    odd = [key for key in pairs(other) if max(PLACE.split(key), key=len).strip(" .:") not in engine]
    assert not odd


@pytest.mark.parametrize("other", OTHERS)
def test_places_are_those_of_the_english_sentence(other: str) -> None:
    for key, words in pairs(other).items():
        numbered = {int(number) for number in re.findall(r"{(\d+)}", words)}
        assert all(number < len(PLACE.findall(key)) for number in numbered), key


def test_the_help_of_an_index_names_its_choices_as_the_page_does() -> None:
    with speaking("zh"):
        for spec in describe(IndexRecipe):
            if spec.name in ("type", "structure"):
                help = said(spec.help)
                named = [one for one in spec.choices if f"'{one}'" in spec.help]
                assert named and not [one for one in named if f"'{one}'" in help]
                assert all(f"“{choice_label(spec, one)}”" in help for one in named)


@pytest.mark.parametrize("other", OTHERS)
def test_every_type_of_index_can_be_read(other: str) -> None:
    for one in INDEX_TYPES.all():
        assert not [text for text in (one.label, one.remedy) if text and text not in pairs(other)]


def test_an_error_is_read_with_what_it_names() -> None:
    error = ModelNotFound.among("model", "mini", ["mini-2"])
    with speaking("zh"):
        assert said(str(error)) == "没有名为“mini”的模型。您是想用“mini-2”吗？"
    assert said(str(error)) == str(error)


def test_what_is_wrong_with_a_field_is_read_under_its_label() -> None:
    with pytest.raises(BadRecipe) as caught:
        EvaluateRecipe.read({"dataset": "d", "models": ["m"], "top_k": 0})
    with speaking("zh"):
        assert said(str(caught.value)) == "每条查询的文档数: 须大于或等于 10。请更正该值后重试。"


def test_a_sentence_inside_another_is_read_too() -> None:
    with speaking("zh"):
        assert said("The job's process was stopped from outside.") == "任务的进程被外部停止。"
        assert said("Loading README.md") == "正在加载 README.md"


def test_which_engine_was_chosen_is_read() -> None:
    known: dict[str, Any] = {
        "model": "m",
        "use": "questions",
        "engine": "openvino",
        "ranked": 80,
        "seconds": {"torch": 0.5, "openvino": 0.25},
        "cpu": {"torch": 0.5, "openvino": 0.125},
        "cosine": {"openvino": 0.99998},
        "map": {"openvino": 0.0011},
        "refused": {"torch-bf16": "it moves MAP by 0.0030", "x": "ValueError: odd"},
    }
    with speaking("zh"):
        assert said(engine_told(known)) == (
            "在这台机器上，“m”的单个问题由 openvino 编码。"
            "openvino 每秒编码 4.0 条文本，每秒处理器时间编码 8.0 条。"
            "torch 每秒编码 2.0 条文本，每秒处理器时间编码 2.0 条。"
            "它与 fp32 的最小余弦为 0.99998。在 80 个文档上，MAP 与 fp32 相差 0.0011。"
            "未采用 torch-bf16：它使 MAP 变动 0.0030。未采用 x：ValueError: odd。"
        )


def test_names_are_never_translated() -> None:
    """Not even where one is a word that the engine says elsewhere."""
    with speaking("zh"):
        assert said("There is no data set named 'test'.") == "没有名为“test”的数据集。"
        assert said("The prompt must contain {query} exactly once.").endswith("一次 {query}。")


def test_what_nobody_translated_stays_as_it_is() -> None:
    with speaking("zh"):
        assert said("Zut alors, un café. Et puis?") == "Zut alors, un café. Et puis?"
        assert said("") == ""


@pytest.mark.parametrize(
    "text",
    [
        "A decoder of 7 billion parameters and more of that: QLoRA",
        "Anything and more",
        "What it counts in tokens",
        "A step of many: x",
        "The notes: a file as it was.",
    ],
)
def test_a_short_sentence_of_counts_fits_no_other(text: str) -> None:
    with speaking("zh"):
        assert said(text) == text


def test_counts_are_read_with_what_stands_between_their_digits() -> None:
    with speaking("zh"):
        assert said("1,200 tokens") == "1,200 个 token"
        assert said("3 of 5: mini") == "第 3 个，共 5 个：mini"
        assert said("640 x 480 pixels") == "640 × 480 像素"
        assert said("notes.csv: detected as GB18030.") == "notes.csv：识别为 GB18030。"


def test_a_difference_and_a_metric_are_read() -> None:
    with speaking("zh"):
        text = said("+0.094 [+0.050, +0.130], p < 0.001 (< 0.001 after Holm)")
        assert text == "+0.094 [+0.050, +0.130]，p < 0.001（Holm 校正后 < 0.001）"
        assert metric_label("hit_rate@5") == "命中率@5"
        assert metric_label("map@100") == "MAP@100"
    assert metric_label("hit_rate@5") == "Hit rate@5"


@pytest.mark.parametrize("runs", [0, 1, 1200])
def test_what_to_expect_of_training_is_read(runs: int) -> None:
    told = {"gain": 0.041, "low": -0.001, "high": 0.084, "runs": runs, "right": runs}
    with speaking("zh"):
        line = said(expected({"forecast": told}))
    assert "+0.04" in line and "MAP@100" in line
    assert not re.search("[a-z]{3}", line)


#: How what a training run reports of its progress begins.
DOING = re.compile(
    r"(Measuring|Training|Timing|Loading|Saving|Finding|Checking|Fold|Seed|BM25 on|The base at)\b"
)


def doings() -> list[str]:
    """What is handed on in the modules that train, to be shown as what is going on: each with
    figures in its places."""
    found: dict[str, None] = {}
    for path, tree in trees():
        if path.parent.name not in ("auto", "training"):
            continue
        pieces = {
            id(one)
            for node in ast.walk(tree)
            if isinstance(node, ast.JoinedStr)
            for one in node.values
        }
        for node in ast.walk(tree):
            text = written(node) if id(node) not in pieces else None
            if text and DOING.match(text) and not re.search(r"[.\n]$", text) and len(text) < 90:
                found[text.replace("{}", "2")] = None
    return list(found)


@pytest.mark.parametrize("other", OTHERS)
def test_what_a_training_run_is_doing_can_be_read_whatever_part_it_is_in(other: str) -> None:
    from workbench.auto.run import ALL_QUERIES

    inner = doings()
    parts = [ALL_QUERIES, "Fold 2 of 3", "Seed 2 of 3", "Measuring on a part", "Timing a few steps"]
    assert len(inner) > 15 and {"Fold 2 of 2", ALL_QUERIES, "The base at 2 tokens"} <= {*inner}
    lines = [*inner, *(f"{part}: {one}" for part in parts for one in inner)]
    lines += [f"Looking at the data: {one}" for one in inner]
    with speaking(other):
        read = {one: said(one).replace("token", "") for one in lines}
    odd = {one: words for one, words in read.items() if re.search("[a-z]{3}", words)}
    assert not odd


@pytest.mark.parametrize("name", ["better at 128 tokens", "mini at 64 / 1,024 tokens"])
def test_a_row_at_another_length_is_named_and_its_model_keeps_its_name(name: str) -> None:
    model = name.split(" ")[0]
    assert row_said(name) == name and row_said("better") == "better"
    with speaking("zh"):
        assert row_said("better") == "better"
        assert row_said(name).startswith(model) and "token" in row_said(name)
        assert " at " not in row_said(name) and "tokens" not in row_said(name)


@pytest.mark.parametrize("tried", ["0.636 at 1", "0.636 at 1, 0.631 at 0.5"])
def test_the_shares_that_a_blend_was_chosen_from_are_read(tried: str) -> None:
    reason = f"share of the trained weights, the rest being the base's: map@100 {tried}"
    with speaking("zh"):
        assert not re.search("[a-z]{2}", said(reason).replace("map@100", ""))
