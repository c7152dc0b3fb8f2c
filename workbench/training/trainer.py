"""sentence-transformers' trainer, with our dev evaluation, our checkpoints and our collator."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer

from workbench.errors import JobCancelled
from workbench.models.contract import Contract

#: step -> metric values on dev.
DevEvaluation = Callable[[int], dict[str, float]]


class EmbeddingTrainer(SentenceTransformerTrainer):
    """The library's step loop, unchanged; what stands around it is ours."""

    def __init__(
        self,
        model: SentenceTransformer,
        *,
        contract: Contract,
        dev: DevEvaluation | None,
        on_batch: Callable[[bool], None],
        **options: Any,
    ) -> None:
        self.contract = contract
        self.dev = dev
        self.on_batch = on_batch
        super().__init__(model=model, **options)

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """None: the library's card would quote row numbers as examples; card.py writes ours."""

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **options: Any) -> Any:
        shape = next(value.shape for key, value in inputs.items() if key.endswith("input_ids"))
        columns = sum(key.endswith("input_ids") for key in inputs)
        # One row without negatives has nothing to compare with: its loss is 0 by nature.
        self.on_batch(shape[0] > 1 or columns > 2)
        return super().compute_loss(model, inputs, *args, **options)

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Measure on dev as every other place of the workbench measures."""
        assert self.dev is not None, "the cadence asks for evaluations only where there is a dev"
        try:
            values = self.dev(self.state.global_step)
        except JobCancelled:
            # The steps since the last checkpoint would be lost otherwise.
            self._save_checkpoint(self.model, None)
            raise
        metrics = {f"eval_{name}": value for name, value in values.items()}
        self.log(dict(metrics))
        self.control: Any = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        return metrics

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:  # noqa: ARG002
        """A checkpoint is a whole model with its contract, usable by itself."""
        folder = Path(output_dir or self.args.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        self.model.save_pretrained(str(folder), create_model_card=False)
        self.contract.write(folder)
