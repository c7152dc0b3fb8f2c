"""The recipe of a learning curve: what training brings at growing shares of a data set's rows."""

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator

from workbench.recipes.base import Recipe, advanced, setting
from workbench.recipes.fields import Device, Precision, dataset_version, device, precision, seed

#: At most so many shares are measured in one job.
MOST_SHARES = 8


def read_shares(text: str) -> list[float]:
    """'12.5, 25, 50, 100' -> the shares in percent, ascending, each once. Raises ValueError."""
    try:
        found = sorted({float(part) for part in text.replace("%", "").replace(",", " ").split()})
    except ValueError:
        found = []
    if not 2 <= len(found) <= MOST_SHARES or not all(0 < one <= 100 for one in found):
        raise ValueError(
            f"Give two to {MOST_SHARES} shares in percent with commas between them, such as 12.5, "
            "25, 50, 100."
        )
    return found


def _checked(text: str) -> str:
    return ", ".join(f"{share:g}" for share in read_shares(text))


class LearningCurveRecipe(Recipe):
    """Train on growing shares of a data set, measure each, and forecast what twice the labels would
    bring. No model is kept."""

    task: ClassVar[str] = "learning-curve"

    dataset: str = setting(
        help="The data set whose training queries are learnt from and measured on.",
        refers_to="dataset",
        needs="queries",
    )
    model: str = setting(
        "all-MiniLM-L6-v2",
        help="The base model: a name in the workspace, a local folder, or a Hub id.",
        refers_to="model",
    )
    kind: Literal["embedding"] = advanced(
        "embedding", help="The kind of model that is trained; embedding models only so far."
    )
    shares: Annotated[str, AfterValidator(_checked)] = setting(
        "12.5, 25, 50, 100",
        help="The shares of the training rows that are trained on, in percent, such as 25, 50, "
        "100; each holds the smaller ones.",
        max_length=200,
    )
    folds: int = setting(
        3,
        help="The queries are split into so many folds; each share is trained once per fold, "
        "without the fold's queries, which are then measured.",
        ge=2,
        le=10,
    )
    dataset_version: int | None = dataset_version()
    seed: int = seed(42, "Decides folds, shares and everything else that is random.")
    precision: Precision = precision(
        "Floating-point format of the computation; 'auto' takes bf16 where the machine is fast at "
        "it."
    )
    device: Device = device("Where to train; 'auto' takes a GPU if there is one.")

    @property
    def percent(self) -> list[float]:
        """The shares, ascending."""
        return read_shares(self.shares)
