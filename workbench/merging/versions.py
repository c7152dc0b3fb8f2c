"""The versions of an adapter that a merge compares. Imports torch: worker processes only."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from workbench.errors import ModelUnusable
from workbench.jobs.context import JobContext
from workbench.models.contract import Contract
from workbench.models.convert import safe_folder
from workbench.models.keeping import FULL, Keeping, keeping_of
from workbench.models.load import load_model
from workbench.models.resolve import ResolvedModel


@dataclass(frozen=True, slots=True)
class Beside(Keeping):
    """The base in full precision, the adapter beside it: what a merged model must equal."""

    @property
    def whole(self) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class Versions:
    """Loads one adapter in each of its versions, computing in fp32 wherever the weights allow."""

    context: JobContext
    adapter: ResolvedModel
    device: str

    def beside(self) -> Any:
        """Unmerged, on the full-precision base. Raises :class:`ModelUnusable` where weights of the
        adapter belong to no layer of it: a comparison would not notice, both sides lack them."""
        loaded = self._load(Beside())
        loaded.model.float()
        refuse_unplaced(
            loaded.model[0].model, safe_folder(Path(self.adapter.source), self.adapter.cache)
        )
        return loaded

    def merged(self) -> Any:
        """Merged into the full-precision base, whatever it was trained on."""
        return self._load(FULL)

    def as_trained(self) -> Any:
        """On the base as it was kept in training: quantized or in bf16."""
        # Weights in bf16 only meet an fp32 head where everything is computed in bf16.
        halved = keeping_of(self.adapter.contract or Contract(), "fp32").dtype == torch.bfloat16
        return self._load(None, precision="bf16" if halved else "fp32")

    def saved(self, folder: Path) -> Any:
        """The merged model as it was written to disk."""
        source = ResolvedModel(folder.name, str(folder), None, None, cache=self.adapter.cache)
        return self._load(None, source)

    def _load(
        self,
        keeping: Keeping | None,
        source: ResolvedModel | None = None,
        precision: str = "fp32",
    ) -> Any:
        self.context.check_cancelled()
        return load_model(
            source or self.adapter,
            device=self.device,
            precision=precision,
            trust_remote_code=self.context.workspace.trust_remote_code,
            keeping=keeping,
        )


def refuse_unplaced(inner: Any, adapter: Path) -> None:
    """Raise :class:`ModelUnusable` unless every saved number of the adapter is in the model."""
    from peft import get_peft_model_state_dict
    from safetensors.torch import load_file

    there = {
        name: value
        for active in inner.peft_config
        for name, value in get_peft_model_state_dict(inner, adapter_name=active).items()
    }
    saved = load_file(str(adapter / "adapter_model.safetensors"))
    lost = [name for name, value in saved.items() if not _placed(name, value, there)]
    if lost:
        raise ModelUnusable(
            f"{len(lost)} of the adapter's {len(saved)} weights belong to no layer of its base "
            f"(the first: {lost[0]}).",
            "See whether the base is the model that the adapter was trained on.",
        )


def _placed(name: str, value: torch.Tensor, there: dict[str, torch.Tensor]) -> bool:
    plain = name.removeprefix("base_model.model.")
    found = there.get(plain)
    if found is None:
        # A model inside another one has a longer or a shorter name for the same layer.
        found = next((v for n, v in there.items() if n.endswith(plain) or plain.endswith(n)), None)
    return (
        found is not None
        and found.shape == value.shape
        and torch.equal(found.detach().float().cpu(), value.float())
    )
