"""What is pushed to the Hugging Face Hub. The token is no part of it: it is never written down."""

import re
from typing import Annotated, ClassVar

from pydantic import AfterValidator

from workbench.recipes.base import Fit, Recipe, setting
from workbench.recipes.fields import current_version

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9_][\w.-]{0,95}")


def _checked(value: str) -> str:
    if not _REPOSITORY.fullmatch(value.strip()):
        raise ValueError(f"'{value}' is no repository of the Hub. Write it as owner/name.")
    return value.strip()


Repository = Annotated[str, AfterValidator(_checked)]


class PushModelRecipe(Recipe):
    """Push a model's folder to the Hugging Face Hub."""

    task: ClassVar[str] = "push-model"

    model: str = setting(
        help="The model to push.",
        refers_to="model",
        fits=Fit(check="workbench.takeaway.push:in_workspace"),
        min_length=1,
    )
    repo: Repository = setting(help="The repository, owner/name; created if it does not exist.")
    private: bool = setting(True, help="Create the repository as private.")


class PushDataRecipe(Recipe):
    """Push a data set to the Hugging Face Hub, laid out as MTEB's retrieval sets are."""

    task: ClassVar[str] = "push-data"

    dataset: str = setting(help="The data set to push.", refers_to="dataset", min_length=1)
    repo: Repository = setting(help="The repository, owner/name; created if it does not exist.")
    private: bool = setting(True, help="Create the repository as private.")
    dataset_version: int | None = current_version()
