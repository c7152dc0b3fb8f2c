"""Recipes for what comes after training: an adapter merged, a fine-tuned model blended."""

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator

from workbench.models.contract import name_from
from workbench.recipes.base import Fit, Recipe, advanced, setting
from workbench.recipes.fields import (
    DecidingMetric,
    Device,
    Precision,
    QueryDocument,
    candidates_of_first_stage,
    device,
    max_queries,
    model_name,
    precision,
    query_document,
    seed,
)

MOST_RATIOS = 21


def read_ratios(text: str) -> list[float]:
    """The shares in a line, ascending, each once; raises :class:`ValueError` in a sentence."""
    try:
        found = sorted({float(part) for part in text.split(",") if part.strip()})
    except ValueError as error:
        raise ValueError("Write numbers with commas between them, such as 0, 0.5, 1.") from error
    if not found or any(not 0.0 <= one <= 1.0 for one in found):
        raise ValueError("Each ratio lies between 0 (the base) and 1 (the fine-tuned model).")
    if len(found) > MOST_RATIOS:
        raise ValueError(f"At most {MOST_RATIOS} ratios can be measured in one job.")
    return found


def _checked(text: str) -> str:
    read_ratios(text)
    return text


_FULL = Fit(check="workbench.models.resolve:full_model")


class MergeRecipe(Recipe):
    """Merge an adapter into its base, at full precision, and check that nothing changed."""

    task: ClassVar[str] = "merge"

    model: str = setting(
        help="The adapter: a name in the workspace, or a folder.",
        refers_to="model",
        fits=Fit(check="workbench.models.resolve:adapter_of"),
        min_length=1,
    )
    name: str = model_name(
        "What the merged model is called; empty adds '-merged' to the adapter's name."
    )
    device: Device = device()

    @property
    def default_name(self) -> str:
        return f"{name_from(self.model)[:100]}-merged"


class BlendRecipe(Recipe):
    """Measure models between a fine-tuned one and its base, and keep one if wanted."""

    task: ClassVar[str] = "blend"

    model: str = setting(
        help="The fine-tuned model: trained in full, or an adapter that was merged.",
        refers_to="model",
        fits=_FULL,
        min_length=1,
    )
    base: str = setting(
        help="The model it was fine-tuned from, with weights of the same shapes.",
        refers_to="model",
        fits=_FULL,
        min_length=1,
    )
    dataset: str = setting(
        help="The data set it was fine-tuned on.", refers_to="dataset", needs="choosing"
    )
    second_dataset: str = setting(
        help="A data set that shows what the base model could do before.",
        refers_to="dataset",
        needs="choosing",
    )
    split: Literal["auto", "dev", "train"] = setting(
        "auto",
        help="The split by whose queries the ratio is chosen; 'auto' takes dev if there is one, "
        "else train. Never test: what is chosen on test cannot be evaluated on it.",
        widget="split",
    )
    ratios: Annotated[str, AfterValidator(_checked)] = setting(
        "0, 0.25, 0.5, 0.75, 1",
        help="The ratios to measure: 0 is the base model, 1 the fine-tuned model.",
        widget="numbers",
    )
    keep: float | None = setting(
        None, help="Save the model of this ratio; empty only measures.", ge=0, le=1
    )
    name: str = model_name("The name of the saved model; empty generates one.")
    max_queries: int | None = max_queries(
        "Use at most this many queries of each data set, chosen by the seed; empty uses all."
    )
    candidates: int = candidates_of_first_stage()
    exclude_query_document: QueryDocument = query_document()
    metric: DecidingMetric = advanced("map@100", help="The metric that the chart shows.")
    device: Device = device()
    precision: Precision = precision()
    seed: int = seed(7, "Decides which queries are used.")

    @property
    def default_name(self) -> str:
        if self.keep is None:
            return ""
        return f"{name_from(self.model)[:100]}-blend-{self.keep:g}"
