"""What is measured between a base and its fine-tuned model, in one chart that is drawn once."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go

from ui.kit.charts import COLOURS, dress, plain
from ui.words import t
from workbench.comparison.names import label


def blend_chart(result: Mapping[str, Any]) -> go.Figure:
    """A line per data set: the metric against the ratio, from a blend job's result."""
    metric, tuned = str(result["metric"]), plain(str(result["tuned"]))
    figure = go.Figure()
    names = list(dict.fromkeys(row["dataset"] for row in result["rows"]))
    for at, name in enumerate(names):
        rows = [row for row in result["rows"] if row["dataset"] == name]
        line = t("blend.line", dataset=plain(str(name)), split=rows[0]["split"])
        figure.add_scatter(
            x=np.asarray([row["ratio"] for row in rows], dtype=np.float32),
            y=np.asarray([row[metric] for row in rows], dtype=np.float32),
            name=line,
            mode="lines+markers",
            # The data set that was trained on has the accent.
            line={"color": COLOURS[(at + 1) % len(COLOURS)]},
            hovertemplate="%{x}: %{y:.3f}<extra>" + line + "</extra>",
        )
    dress(figure, t("blend.title", base=plain(str(result["base"])), tuned=tuned))
    figure.update_layout(height=340, showlegend=True)
    figure.update_xaxes(title={"text": t("blend.ratio", tuned=tuned), "standoff": 12})
    figure.update_yaxes(title={"text": label(metric)})
    return figure
