"""The catalogue on the page."""

from ui.tabs.models_catalogue import catalogue_html
from workbench.models.catalogue import catalogue


def test_every_model_is_a_line_with_the_id_to_type() -> None:
    html = str(catalogue_html())
    for model in catalogue():
        assert model.id in html
        assert model.languages in html
    assert html.count("<tr") == len(catalogue()) + 1
    assert "Before each query: “query:”" in html
    assert "not known" in html
