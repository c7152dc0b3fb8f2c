"""A section of a tab added from outside: one class, and its name in the tab's ``SECTIONS``."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from tests.ui import visitor
from tests.ui.tabs.conftest import evaluated
from tests.ui.tabs.whole import add
from tests.ui.visitor import Visitor
from ui import words
from ui.kit.events import on
from ui.kit.markup import piece
from ui.services import Services
from ui.tabs.compare import section as beside
from ui.tabs.compare import tab as compare
from ui.tabs.data import tab
from ui.tabs.data.section import Section, Shown
from ui.words import t
from workbench.records import Dataset, Job
from workbench.workspace import Workspace

# -- of Data: the first characters of the data set's name, as many as one asks for ---------


class LettersSection(Section):
    def __init__(self, shown: Shown) -> None:
        super().__init__(shown)
        with gr.Column(visible=False) as self.box:
            self.many = gr.Number(1, label=t("letters.many"))
            self.said = piece(elem_id="letters")
        self.place = [self.many]
        self.outputs = [self.box, self.said]

    def view(self, dataset: Dataset | None, place: Sequence[Any] | None) -> dict[Any, Any]:
        many = int(place[0]) if place else 1
        return {
            self.box: gr.Column(visible=dataset is not None),
            self.said: dataset.name[:many] if dataset else "",
        }

    def listen(self) -> None:
        def ask(id: str, many: float) -> str:
            return self.dataset(id)[: int(many)]

        on(self.many.submit, ask, [self.shown.id, self.many], self.said)


# -- of Compare: how many models took part, and their names at a click -------------------------


class NamesSection(beside.Section):
    def __init__(self, shown: beside.Shown) -> None:
        super().__init__(shown)
        self.count = gr.Number(0, label=t("letters.many"))
        self.tell = gr.Button(t("letters.many"))
        self.said = piece(elem_id="names")
        self.outputs = [self.count, self.said]

    def view(self, job: Job | None, stays: bool) -> dict[Any, Any]:
        count = len(job.recipe["models"]) if job else 0
        return {self.count: count, **({} if stays else {self.said: ""})}

    def listen(self) -> None:
        on(self.tell.click, self._names, self.shown.id, self.said)

    def _names(self, id: str) -> str:
        return ", ".join(self.workspace.jobs.get(id).recipe["models"])


# -- they are on their tabs as any other -------------------------------------------------------


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch, home: Path, tmp_path: Path) -> Iterator[Services]:
    folder = tmp_path / "words"
    folder.mkdir()
    (folder / "en.letters.json").write_text('{"letters": {"many": "Letters"}}')
    monkeypatch.setattr(tab, "SECTIONS", (*tab.SECTIONS, LettersSection))
    monkeypatch.setattr(compare, "SECTIONS", (*compare.SECTIONS, NamesSection))
    words.add_folder(folder)
    workspace = Workspace.open(home)
    yield Services(workspace)
    workspace.close()
    words.remove_folder(folder)


def test_it_shows_the_data_set_answers_and_stays_where_one_is(
    services: Services, tmp_path: Path
) -> None:
    page = visitor.build(services)
    section = page.data.section(LettersSection)
    visit = Visitor(page)
    visit.open(page.data)
    assert not visit.visible(section.box)
    add(services, tmp_path, "tea", "coffee")
    visit.look(page.data)
    assert visit.visible(section.box) and visit.value(section.said) == "c"
    visit.type(section.many, 3)
    visit.fire(section.many, "submit")
    assert visit.value(section.said) == "cof"
    visit.open(page.start)
    visit.open(page.data)
    assert visit.value(section.said) == "cof"
    visit.pick(page.data.sets, "tea")
    assert visit.value(section.said) == "t"


def test_it_shows_the_comparison_and_stays_where_one_is(services: Services) -> None:
    evaluated(services)
    page = visitor.build(services)
    section = page.compare.section(NamesSection)
    visit = Visitor(page)
    visit.open(page.compare)
    assert visit.value(section.count) == 2
    visit.click(section.tell)
    assert visit.value(section.said) == "base, tuned"
    visit.open(page.start)
    visit.open(page.compare)
    assert visit.value(section.said) == "base, tuned"
    evaluated(services, "later", recipe={"dataset": "tea", "models": ["one"], "split": "test"})
    visit.type(page.compare.past, "later")
    visit.fire(page.compare.past, "input")
    assert (visit.value(section.count), visit.value(section.said)) == (1, "")
