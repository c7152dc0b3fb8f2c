"""A tab added from outside: one class, its name in ``TABS``, and a word file per language."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from tests.ui import visitor
from tests.ui.visitor import DrawnPage, Visitor
from ui import main, words
from ui.kit.events import on
from ui.kit.live import on_look, pulse
from ui.kit.markup import piece
from ui.services import Services
from ui.words import speaking, t
from workbench.workspace import Workspace

# -- the tab: it counts the models, and waves at a click --------------------------------------

WORDS = {
    "en": {"tab": {"toy": "Toy"}, "toy": {"wave": "Wave", "none": "{count} models", "hi": "Hi!"}},
    "zh": {
        "tab": {"toy": "玩具"},
        "toy": {"wave": "挥手", "none": "{count} 个模型", "hi": "你好！"},
    },
}


class ToyTab:
    def __init__(self, services: Services) -> None:
        self.services = services
        with gr.Tab(t("tab.toy"), id="toy") as self.tab:
            self.beat = pulse(services)
            self.models = piece(elem_id="toy-models")
            self.wave = gr.Button(t("toy.wave"))
            self.said = piece(elem_id="toy-said")
        self.inputs = [self.said]
        self.outputs = [self.models]

    def refresh(self, said: str | None) -> dict[Any, Any]:
        count = len(self.services.workspace.models.list())
        return {self.models: t("toy.none", count=count)}

    def listen(self) -> None:
        on(self.wave.click, lambda: t("toy.hi"), None, self.said)
        on_look(self.beat, self.refresh, self.inputs, self.outputs)


# -- it is on the page as any other ------------------------------------------------------------


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    folder = tmp_path / "words"
    folder.mkdir()
    for language, said in WORDS.items():
        path = folder / f"{language}.toy.json"
        path.write_text(json.dumps(said), encoding="utf-8")
    monkeypatch.setattr(main, "TABS", (*main.TABS, ToyTab))
    words.add_folder(folder)
    yield
    words.remove_folder(folder)


@pytest.fixture
def services(home: Path) -> Iterator[Services]:
    workspace = Workspace.open(home)
    yield Services(workspace)
    workspace.close()


@pytest.mark.parametrize("language", WORDS)
def test_it_is_drawn_shown_and_answers(services: Services, language: str) -> None:
    said = WORDS[language]["toy"]
    with speaking(language):
        page = visitor.build(services)
    assert (page.toy.tab.label, page.toy.wave.value) == (
        WORDS[language]["tab"]["toy"],
        said["wave"],
    )
    visit = Visitor(page)
    visit.open(page.toy)
    assert visit.value(page.toy.models) == said["none"].format(count=0)
    assert visit.value(page.open_tab) == "toy"
    visit.click(page.toy.wave)
    assert visit.value(page.toy.said) == said["hi"]
    visit.look(page.toy)


def test_a_reload_comes_back_to_it(services: Services) -> None:
    page = visitor.build(services)
    loaded = next(one for one in page.demo.fns.values() if one.name == "loaded")
    found = loaded.fn("toy", *[None] * (len(loaded.inputs) - 1))
    assert found[page.tabs].selected == "toy"
    assert found[page.toy.models] == "0 models"


def test_the_tabs_before_it_are_the_same(services: Services) -> None:
    page: DrawnPage = visitor.build(services)
    assert list(page.parts)[-1] == "toy"
    assert len(page.parts) == len(main.TABS) > 8
