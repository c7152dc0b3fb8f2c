"""The metrics every table, chart and dev evaluation shows, in this order."""

#: Lower case with a cutoff. All lie between 0 and 1, higher is better.
METRICS: tuple[str, ...] = (
    "map@100",
    "mrr@10",
    "ndcg@10",
    "recall@10",
    "recall@100",
    "hit_rate@5",
    "hit_rate@10",
)

#: What scored pairs are judged by, never by the above: nothing is ranked there.
CORRELATIONS: tuple[str, ...] = ("spearman", "pearson")

#: The one that decides, unless a recipe says otherwise.
HEADLINE = "map@100"

#: Fewer queries than this say too little to call one model better than another.
ENOUGH_QUERIES = 50

_LABELS = {
    "map": "MAP",
    "mrr": "MRR",
    "ndcg": "NDCG",
    "recall": "Recall",
    "hit_rate": "Hit rate",
    "spearman": "Spearman",
    "pearson": "Pearson",
}


def label(metric: str) -> str:
    """As a person writes it: 'map@100' -> 'MAP@100'."""
    name, at, cutoff = metric.partition("@")
    return f"{_LABELS.get(name, name)}{at}{cutoff}"
