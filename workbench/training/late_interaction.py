"""The task 'train-late-interaction': a ColBERT model, measured on frozen candidates."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from sentence_transformers.multi_vector_encoder.training_args import (
    MultiVectorEncoderTrainingArguments,
)

from workbench.data.reader import DatasetReader
from workbench.errors import BadInput
from workbench.jobs.reporting import JobContext
from workbench.models.assemble import holds_projection, lacks_projection
from workbench.models.contract import Contract, as_kind
from workbench.models.late_interaction import LoadedLateInteraction, gram, principal
from workbench.models.load import load_model
from workbench.models.locate import LocalModel
from workbench.recipes.train_kinds import TrainLateInteractionRecipe
from workbench.training.callbacks import Cadence, Recorder
from workbench.training.dev import Dev
from workbench.training.distributed import across_devices
from workbench.training.loss import as_trained, keeping_for, training_lengths, wanted_prompts
from workbench.training.objectives import TokenContrast
from workbench.training.rows import build_rows, load_texts, own_prompts_note
from workbench.training.run import Place, Prepared, Run, batched_arguments, reranking_dev
from workbench.training.trainer import Collator, LateInteractionTrainer

FRESH = (
    "The base model has no projection to one vector per token, so one of {0} dimensions was added "
    "and trained too: the principal components of its token vectors; the untrained value is that "
    "of this projection."
)
#: So many training rows' texts show what token vectors the base makes.
SHOWN = 256


class LateInteractionTraining:
    """What is particular to late interaction."""

    def start(self, recipe: TrainLateInteractionRecipe, base: LocalModel) -> Contract:
        """A late-interaction model as it is, or an encoder made into one."""
        contract = base.contract
        if contract.model_kind.reads_pairs:
            raise BadInput(
                f"'{base.name}' is a reranker, which has no vectors to compare.",
                "Start from an encoder or a late-interaction model.",
            )
        changes: dict[str, Any] = {**wanted_prompts(contract, recipe)}
        if contract.model_kind.first_stage:
            contract = as_kind(contract, recipe.kind)
            # Of the vector per token; the files decide where they bring a projection.
            changes["dimensions"] = 0 if holds_projection(base.folder) else recipe.token_dimensions
        return contract.model_copy(update=changes)

    def brings(self, recipe: Any, base: LocalModel) -> bool:  # noqa: ARG002
        return not lacks_projection(base.folder)

    def dev(
        self,
        recipe: TrainLateInteractionRecipe,
        context: JobContext,
        reader: DatasetReader,
        output: Path,
        place: Place,
    ) -> Dev:
        return reranking_dev(recipe, context, reader, output, place)

    def contract(
        self, loaded: LoadedLateInteraction, recipe: TrainLateInteractionRecipe, base_name: str
    ) -> Contract:
        return as_trained(loaded.contract, loaded.model, recipe, base_name)

    def begin(self, run: Run, loaded: LoadedLateInteraction) -> None:
        """A projection that the base lacks keeps what it can of the base's token vectors: better to
        start from than chance."""
        if lacks_projection(run.base.folder):
            project(run.reader, run.recipe, loaded)

    def prepare(
        self, run: Run, loaded: LoadedLateInteraction, recorder: Recorder, cadence: Cadence
    ) -> Prepared:
        recipe, contract, model = run.recipe, loaded.contract, loaded.model
        rows = build_rows(run.reader, run.asks_rows)
        queries, documents = load_texts(run.reader, rows, contract)
        model.prompts = {"query": contract.query_prompt, "document": contract.document_prompt}
        model.max_seq_length = max(contract.query_max_len, contract.passage_max_len)
        lengths = training_lengths(model, recipe)
        cut = contract.model_copy(update=lengths)
        arguments, made = batched_arguments(MultiVectorEncoderTrainingArguments, run, rows)
        trainer = LateInteractionTrainer(
            model,
            contract=contract,
            dev=run.dev_evaluation(loaded),
            args=arguments,
            train_dataset=Dataset.from_dict(rows.columns),
            loss=TokenContrast(
                model,
                scale=1.0 / recipe.temperature,
                across=across_devices(recipe, run.group),
            ),
            data_collator=Collator(model, queries, documents, cut),
            callbacks=[recorder, cadence],
        )
        notes = rows.notes + own_prompts_note(run.reader, contract)
        if lacks_projection(run.base.folder):
            notes += (FRESH.format(contract.dimensions),)
        return Prepared(trainer, rows, made, notes, lengths)


def project(
    reader: DatasetReader, recipe: TrainLateInteractionRecipe, loaded: LoadedLateInteraction
) -> None:
    """Give the model's projection the principal components of the token vectors that its encoder
    makes of some training rows' texts, chosen by the seed; changed in place."""
    rows = build_rows(reader, recipe)
    texts = load_texts(reader, rows, loaded.contract)
    some = np.random.default_rng(recipe.seed).permutation(len(rows))[:SHOWN]
    named = zip(texts, (rows.queries[some], rows.positives[some]), strict=True)
    lengths = training_lengths(loaded.model, recipe)
    short = loaded.with_contract(loaded.contract.model_copy(update=lengths))
    vectors = [
        one
        for (given, numbers), role in zip(named, ("query", "document"), strict=True)
        for one in short.unprojected(given.get(numbers.tolist()), role)
    ]
    linear = loaded.model[1].linear
    weights = principal(gram(vectors), linear.out_features)
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(weights))
        if linear.bias is not None:
            linear.bias.zero_()


def save_projection(
    reader: DatasetReader, recipe: Any, base: LocalModel, place: Place, path: Path
) -> None:
    """Save what :func:`project` gives a base that was just loaded, as a tensor (dimensions,
    width)."""
    loaded: Any = load_model(
        base,
        device=place.device,
        precision=place.precision,
        contract=LateInteractionTraining().start(recipe, base),
        keeping=keeping_for(recipe, place.precision),
    )
    project(reader, recipe, loaded)
    torch.save(loaded.model[1].linear.weight.detach().cpu(), path)
