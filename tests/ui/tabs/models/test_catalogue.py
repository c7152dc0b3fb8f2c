"""The catalogue on the page."""

from tests.ui.visitor import drawn
from ui.services import Services
from ui.tabs.models.details import catalogue_html
from ui.tabs.train.tab import TrainTab
from workbench.models.resolve import catalogue
from workbench.recipes.train import KINDS


def test_every_model_is_a_line_with_the_id_to_type() -> None:
    html = str(catalogue_html())
    for model in catalogue():
        assert model.id in html
        assert model.languages in html
    assert html.count("<tr") == len(catalogue()) + 1
    assert "Query prefix: “query:”" in html
    assert "unknown" in html
    assert "cls pooling, L2-normalized" in html
    assert "8,192" in html


def test_trains_menu_lists_those_of_each_forms_kind(services: Services) -> None:
    tab = drawn(TrainTab, services)
    filled = tab.refresh("", *[None, None] * len(KINDS))
    for kind, one in zip(KINDS, tab.forms.each, strict=True):
        offered = {value for _, value in filled[one.model]["choices"]}
        assert offered >= {model.id for model in catalogue(kind)}
        # Models of image-text model are offered where they can be trained, and nowhere else.
        pictures = {one.id for one in catalogue("image-text")}
        assert offered & pictures == (pictures if kind == "image-text" else set())
