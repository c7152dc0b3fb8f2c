"""A training run's result in words, for the command line."""

from typing import Any

from workbench.comparison.conditions import conditions

_VERDICTS = {
    "": "better than the first stage",
    "no-better": "no better than untrained",
    "below-first-stage": "worse than the first stage",
}


def words(result: dict[str, Any]) -> str:
    """What ``train`` says at its end, from its JSON."""
    metric = result["metric"]
    before = (result.get("baseline") or {}).get(metric)
    after = (result.get("best") or {}).get(metric)
    lines = [f"{result['model']}: {result['steps']} steps in {result['seconds']:.0f} seconds."]
    if before is None or after is None:
        lines.append("The data set has no dev queries, so nothing was measured during training.")
    elif result["kind"] == "embedding":
        verdict = "better" if result["beats_base"] else "no better than the original"
        lines.append(f"{metric} on dev: {before:.3f} before, {after:.3f} after: {verdict}.")
    else:
        # What orders candidates must beat the order it finds; untrained, it is no baseline.
        lines.append(
            f"{metric} on dev: {before:.3f} by the first stage ({result['baseline_name']}), "
            f"{result['untrained'][metric]:.3f} untrained, {after:.3f} after: "
            f"{_VERDICTS[result['verdict']]}."
        )
    said = conditions(result, [result])
    return "\n".join([*lines, *([" ".join(said)] if said and after is not None else [])])
