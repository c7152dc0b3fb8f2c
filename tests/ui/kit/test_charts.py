"""Figures from rows: what they hold, and that text in them stays text."""

import numpy as np
import plotly.graph_objects as go

from ui.kit.charts import grouped_bars, histogram, plain

BINS = {"unit": "characters", "edges": [0, 10, 20, 40], "counts": [0, 3, 0, 2]}


def test_the_histogram_shows_the_bins_from_first_to_last_that_hold_anything() -> None:
    figure = histogram(BINS, "Lengths")
    assert list(figure.data[0].x) == ["10–19", "20–39", "from 40"]
    assert list(figure.data[0].y) == [3, 0, 2]
    assert figure.data[0].y.dtype == np.int32


def test_an_empty_histogram_is_a_figure_all_the_same() -> None:
    figure = histogram({"edges": [0, 10], "counts": [0, 0]}, "Lengths")
    assert isinstance(figure, go.Figure)
    assert len(figure.data[0].x) == 0


def test_a_bar_per_model_in_each_group() -> None:
    figure = grouped_bars(["a", "b"], ["MAP@100", "MRR@10"], [[0.5, 0.6], [0.7, 0.8]], "T")
    assert [bar.name for bar in figure.data] == ["a", "b"]
    assert list(figure.data[1].text) == ["0.70", "0.80"]
    assert figure.data[0].marker.color != figure.data[1].marker.color
    assert 0.8 < figure.layout.yaxis.range[1] <= 1.08


def test_backgrounds_are_clear_so_that_both_themes_can_have_it() -> None:
    figure = grouped_bars(["a"], ["x"], [[0.5]], "T")
    assert figure.layout.paper_bgcolor == figure.layout.plot_bgcolor == "rgba(0,0,0,0)"


def test_names_are_text() -> None:
    figure = grouped_bars(["<b>x</b><script>"], ["m"], [[0.5]], "<i>t</i>")
    assert "<b>" not in figure.data[0].name
    assert "<script" not in figure.data[0].hovertemplate
    assert "<i>" not in figure.layout.title.text
    assert "%{" not in plain("%{customdata}")
