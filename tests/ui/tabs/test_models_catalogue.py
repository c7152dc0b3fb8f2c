"""The catalogue on the page."""

from ui.services import Services
from ui.tabs import train
from ui.tabs.models_catalogue import catalogue_html
from workbench.models.resolve import catalogue
from workbench.recipes.kinds import KINDS


def test_every_model_is_a_line_with_the_id_to_type() -> None:
    html = str(catalogue_html())
    for model in catalogue():
        assert model.id in html
        assert model.languages in html
    assert html.count("<tr") == len(catalogue()) + 1
    assert "Before each query: “query:”" in html
    assert "not known" in html
    assert "cls pooling, length 1" in html
    assert "8,192" in html


def test_trains_menu_lists_those_of_each_forms_kind(services: Services) -> None:
    filled = train.fill(services, "", [None, None] * len(KINDS))
    menus = [one["choices"] for one in filled if isinstance(one, dict) and "choices" in one]
    for kind, menu in zip(KINDS, menus[1::2], strict=False):
        offered = {value for _, value in menu}
        assert offered >= {model.id for model in catalogue(kind)}
        # Models of pictures and text are offered where they can be trained, and nowhere else.
        pictures = {one.id for one in catalogue("image-text")}
        assert offered & pictures == (pictures if kind == "image-text" else set())
