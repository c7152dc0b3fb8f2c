"""Models people start from, and the contract each needs. The data is in catalogue.toml.

Nothing is downloaded by looking: a model comes to this machine when it is named in a run.
"""

import tomllib
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from workbench.models.contract import Contract

FILE = Path(__file__).with_name("catalogue.toml")
CatalogueKind = Literal["embedding", "reranker", "late-interaction", "image-text"]


class CatalogueModel(BaseModel):
    """One model in one use. What is not known for sure is None."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^[\w.-]+/[\w.-]+$")
    kind: CatalogueKind
    languages: str
    remark: str
    #: Millions.
    parameters: int | None = None
    #: Megabytes of the published weights.
    size: int | None = None
    dimensions: int | None = None
    #: The most tokens it reads.
    max_len: int | None = None
    licence: str | None = None
    #: The model that reads the pictures, where this one reads texts only.
    pictures_by: str = ""
    #: Fields of the contract that are known.
    contract: dict[str, Any] = {}

    @model_validator(mode="after")
    def _known_fields(self) -> "CatalogueModel":
        strange = self.contract.keys() - Contract.model_fields.keys()
        if strange:
            raise ValueError(f"{self.id}: the contract has no field {sorted(strange)}")
        Contract.model_validate(self.contract)
        return self

    @property
    def needs_prompt(self) -> bool:
        """Whether it was made with a prompt before queries or documents."""
        return bool(self.contract.get("query_prompt") or self.contract.get("document_prompt"))


def manner(model: CatalogueModel) -> str:
    """How a model makes its answer, as far as that is known: its pooling, whether vectors are of
    length 1, or a reranker's architecture."""
    known = model.contract
    pooling, length = known.get("pooling"), known.get("normalize")
    said = [
        f"{pooling} pooling" if pooling else "",
        "" if length is None else "length 1" if length else "own lengths",
        str(known.get("architecture", "")),
    ]
    return ", ".join(part for part in said if part)


def listed(kind: str) -> list[str]:
    """The hub ids of one kind, in the file's order."""
    return [model.id for model in catalogue(kind)]


@cache
def catalogue(kind: str | None = None) -> tuple[CatalogueModel, ...]:
    """All entries in the file's order, or those of one kind."""
    if kind is not None:
        return tuple(model for model in catalogue() if model.kind == kind)
    rows = tomllib.loads(FILE.read_text(encoding="utf-8"))["model"]
    return tuple(CatalogueModel.model_validate(row) for row in rows)


def find(name: str, kind: str | None = None) -> CatalogueModel | None:
    """The entry of a hub id, or of its last part (a copy in a folder, say); None where unknown.

    Of a model with several uses the one of ``kind`` is taken, else the first.
    """
    wanted = name.rstrip("/").lower()
    for whole in (True, False):
        found = [
            model
            for model in catalogue()
            if wanted == model.id.lower()
            or (not whole and wanted.rpartition("/")[2] == model.id.lower().rpartition("/")[2])
        ]
        if found:
            return next((model for model in found if model.kind == kind), found[0])
    return None


def contract_for(hub_id: str, kind: str | None = None) -> dict[str, Any]:
    """Updates for the contract of a hub model whose own files say no prompts: pooling, prompts,
    attention direction, a reranker's answers and template. Empty for models not listed, and for a
    ``kind`` the model is not listed with.

    Only the whole id counts: a folder that happens to have the same name is another model.
    """
    for model in catalogue():
        if model.id.lower() == hub_id.lower() and kind in (None, model.kind):
            known = dict(model.contract)
            if model.kind in ("embedding", "late-interaction") and model.dimensions:
                known.setdefault("dimensions", model.dimensions)
            return {"kind": model.kind, **known} if model.kind != "image-text" else {}
    return {}
