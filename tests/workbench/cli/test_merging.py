"""``merge`` and ``blend``: their options, and their results in words."""

from typing import Any

from workbench.cli.main import build_parser
from workbench.cli.models import blend_words, merge_words
from workbench.cli.running import read_values
from workbench.recipes.merge import BlendRecipe, MergeRecipe

MERGED: dict[str, Any] = {
    "model": "whole",
    "base": "tiny",
    "adapter": "mine",
    "parity": {"texts": 64, "from": "pets", "largest_difference": 1.2e-7, "allowed": 1e-4},
    "drift": {"against": "nf4", "largest_difference": 0.02, "mean_difference": 0.001},
    "metrics": {"metric": "map@100", "trained": {}, "merged": {"map@100": 0.5}},
}


def test_the_options_are_the_recipes() -> None:
    args = build_parser().parse_args(["merge", "mine", "--name", "whole"])
    assert MergeRecipe.read(read_values(args, MergeRecipe)).name == "whole"
    words = "blend mine --base tiny --dataset a --second-dataset b --ratios 0,1 --keep 0.5 --name x"
    args = build_parser().parse_args(words.split())
    found = BlendRecipe.read(read_values(args, BlendRecipe))
    assert (found.model, found.base, found.ratios, found.keep) == ("mine", "tiny", "0,1", 0.5)


def test_a_merge_is_told_in_words() -> None:
    said = merge_words(MERGED)
    assert "Merged 'mine' into 'tiny': 'whole'." in said
    assert "at most 1.2e-07 from the adapter" in said
    assert "over nf4 weights): at most 2.0e-02" in said
    assert said.endswith("map@100 on dev: 0.500.")
    plain = merge_words({**MERGED, "drift": None, "metrics": None})
    assert len(plain.splitlines()) == 2


def test_a_blend_is_a_line_per_ratio() -> None:
    measured = ((0.0, "a", 0.1), (0.0, "b", 0.9), (1.0, "a", 0.8), (1.0, "b", 0.7))
    rows = [
        {"ratio": ratio, "dataset": name, "split": "dev", "map@100": value}
        for ratio, name, value in measured
    ]
    result = {
        "metric": "map@100",
        "tuned": "mine",
        "query_max_len": 64,
        "passage_max_len": 128,
        "ratios": [0.0, 1.0],
        "rows": rows,
        "kept": 1.0,
        "model": "x",
    }
    said = blend_words(result).splitlines()
    assert said[0].split("  ")[0] == "ratio"
    assert said[2].split() == ["0", "0.100", "0.900"]
    assert "Queries asked: a: dev, b: dev. Texts are truncated: queries to 64 tokens" in said[-3]
    assert said[-1] == "Kept the ratio 1 as the model 'x'."
