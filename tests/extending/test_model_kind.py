"""A kind of model added from outside, in two files: its recipe with what the kind is, and how it is
trained. It is trained, kept, measured, indexed and described as the others are."""

import json
from pathlib import Path

import pytest

from tests.extending.outside import Run

TOY = "signed"


def rows(split: str) -> list[dict[str, object]]:
    return [
        {"query": f"{split}{n} word{n}", "pos": [f"word{n} of {split}{n} is here"], "split": split}
        for n in range(6)
    ]


def test_one_is_trained_and_used(extended: Run, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    lines = [row for split in ("train", "dev", "test") for row in rows(split)]
    file.write_text("".join(json.dumps(row) + "\n" for row in lines), encoding="utf-8")
    extended(TOY, "data", "add", str(file), "--name", "words")

    command = ["train", "--kind", TOY, "--dataset", "words", "--name", "mine", "--sign", "!"]
    few = ["--negatives", "0", "--max-steps", "1", "--batch-size", "4", "--json"]
    trained = extended(TOY, *command, *few).document
    assert (trained["kind"], trained["model"], trained["steps"]) == (TOY, "mine", 1)

    shown = extended(TOY, "models", "show", "mine", "--json").document
    assert (shown["contract"]["kind"], shown["contract"]["query_prompt"]) == (TOY, "! ")
    assert "# Signed." in shown["use"] and "prompt='! '" in shown["use"]
    card = (extended.home / "models" / trained["model_id"] / "README.md").read_text("utf-8")
    assert "tags: [sentence-transformers, signed]" in card
    assert "A signed model: its vectors have 384 numbers." in card

    (row,) = extended(TOY, "evaluate", "--dataset", "words", "--model", "mine", "--json").document[
        "rows"
    ]
    assert (row["model"], row["kind"]) == ("mine", TOY) and row["recall@10"] > 0.9
    extended(TOY, "index", "build", "--dataset", "words", "--model", "mine", "--name", "found")
    hits = extended(TOY, "search", "--index", "found", "test3 word3", "--json").document["hits"]
    assert hits[0]["text"] == "word3 of test3 is here"


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("from workbench.reference import reference; print(reference())", "Stands before each"),
        ("from ui.words.sentences import kind_name; print(kind_name('signed'))", "signed model"),
        ("import gradio as gr\n"
         "from ui.tabs.train.forms import Forms\n"
         "with gr.Blocks(): forms = Forms(None)\n"
         "print(forms.kind.choices[-1][0], forms.each[-1].form.components['sign'].label)",
         "signed model Sign"),
        ("from workbench.takeaway.snippet import snippet\n"
         "from workbench.models.contract import Contract\n"
         "print(snippet(Contract(kind='signed')))", "# Signed."),
        ("from workbench.serving.models import Served\n"
         "one = Served('m', 'm', 'signed', 8, True, 0)\n"
         "print(one.embeds, one.reranks)", "True False"),
    ],
    ids=["reference", "page", "form", "snippet", "serving"],
)  # fmt: skip
def test_what_lists_kinds_lists_it(extended: Run, code: str, shown: str) -> None:
    assert shown in extended.python(TOY, code)


def test_a_folder_is_none_of_it_unless_its_contract_says_so(extended: Run) -> None:
    code = (
        "from workbench.model_kinds import MODEL_KINDS\n"
        "from workbench.models.contract import kind_of_checkpoint, kind_of_modules\n"
        "from pathlib import Path\n"
        "print(kind_of_checkpoint(Path('x'), {}), kind_of_modules(Path('x'), {}))\n"
        "print(MODEL_KINDS.names()[-1])"
    )
    assert extended.python(TOY, code).split() == ["embedding", "embedding", TOY]
