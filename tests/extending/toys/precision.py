"""A metric: how many of the first five documents are relevant."""

from workbench.comparison.names import METRICS, Metric

METRICS.register(Metric("precision@5", "Precision", "P(rel=1)", decides=True))
