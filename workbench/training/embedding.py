"""The task 'train-embedding': an embedding model fine-tuned, measured against the original."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset
from sentence_transformers.sentence_transformer.training_args import (
    SentenceTransformerTrainingArguments,
)

from workbench.data.reader import DatasetReader
from workbench.errors import BadInput
from workbench.jobs.reporting import JobContext
from workbench.models.contract import Contract
from workbench.models.load import LoadedEmbedding, load_embedding
from workbench.models.locate import LocalModel, locate
from workbench.recipes.train import TrainEmbeddingRecipe
from workbench.training.callbacks import Cadence, Recorder
from workbench.training.dev import Dev, Retrieval
from workbench.training.distributed import across_devices
from workbench.training.loss import (
    embedding_loss,
    ready_for_training,
    trained_contract,
    training_lengths,
)
from workbench.training.objectives import Guide
from workbench.training.rows import (
    Texts,
    TrainingRows,
    build_rows,
    fitted,
    load_texts,
    own_prompts_note,
    refuse_no_negatives,
    teacher_scores,
)
from workbench.training.run import Place, Prepared, Run, batched_arguments, searched
from workbench.training.scored import correlating_dev, scored_rows
from workbench.training.trainer import Collator, EmbeddingTrainer


class EmbeddingTraining:
    """What is particular to embedding models."""

    def start(
        self,
        recipe: TrainEmbeddingRecipe,  # noqa: ARG002 - other kinds change the contract by it
        base: LocalModel,
    ) -> Contract:
        contract = base.contract
        if not contract.model_kind.first_stage:
            raise BadInput(
                f"'{base.name}' is a {contract.kind} model, not an embedding model.",
                f"Train it with --kind {contract.kind}, or choose an embedding model.",
            )
        return contract

    def brings(self, recipe: Any, base: LocalModel) -> bool:  # noqa: ARG002 - other kinds ask
        """An encoder without pooling of its own is read as one that pools by the mean."""
        return True

    def dev(
        self,
        recipe: TrainEmbeddingRecipe,
        context: JobContext,
        reader: DatasetReader,
        output: Path,
        place: Place,  # noqa: ARG002 - other kinds load a first stage there
    ) -> Dev:
        if recipe.on_pairs:
            pairs = correlating_dev(reader, most=recipe.dev_documents, seed=recipe.seed)
            return Dev(pairs, context, output)
        pool = searched(recipe, reader)
        return Dev(Retrieval(pool), context, output)

    def contract(
        self, loaded: LoadedEmbedding, recipe: TrainEmbeddingRecipe, base_name: str
    ) -> Contract:
        return trained_contract(loaded.contract, loaded.model, recipe, base_name)

    def begin(self, run: Run, loaded: LoadedEmbedding) -> None:
        """Nothing: it is measured and trained as it is."""

    def prepare(
        self, run: Run, loaded: LoadedEmbedding, recorder: Recorder, cadence: Cadence
    ) -> Prepared:
        recipe, contract = run.recipe, loaded.contract
        learned = _learned(run.reader, run.asks_rows, contract)
        rows = learned.rows
        model = ready_for_training(loaded.model, contract)
        lengths = training_lengths(model, recipe)
        cut = contract.model_copy(update=lengths)
        arguments, made = batched_arguments(SentenceTransformerTrainingArguments, run, rows)
        guide = self._guide(run, loaded) if recipe.chosen_objective.guided else None
        trainer = EmbeddingTrainer(
            model,
            contract=contract,
            dev=run.dev_evaluation(loaded),
            args=arguments,
            train_dataset=Dataset.from_dict(learned.columns),
            loss=embedding_loss(
                model, contract, recipe, guide, across=across_devices(recipe, run.group)
            ),
            data_collator=Collator(model, learned.queries, learned.documents, cut),
            callbacks=[recorder, cadence],
        )
        notes = rows.notes + learned.notes
        if not recipe.on_pairs:
            notes += own_prompts_note(run.reader, contract)
        return Prepared(trainer, rows, made, notes, lengths)

    def _guide(self, run: Run, loaded: LoadedEmbedding) -> Guide:
        """The model that GIST is guided by: the base itself, as it was, where none is named."""
        named = run.recipe.guide_model
        local = locate(run.context.workspace, named) if named else run.base
        guide = load_embedding(local, device=run.device)
        own, other = loaded.contract, guide.contract
        prompts = (other.query_prompt, other.document_prompt)
        alike = prompts == (own.query_prompt, own.document_prompt)
        return Guide(
            guide.model,
            loaded.model.tokenizer,
            by_cosine=other.normalize,
            prompts=None if alike else prompts,
        )


@dataclass(frozen=True, slots=True)
class Learned:
    """The rows, their columns for the trainer (labels too), and the texts the rows stand for."""

    rows: TrainingRows
    columns: dict[str, Any]
    queries: Texts
    documents: Texts
    notes: tuple[str, ...] = ()


def _learned(reader: DatasetReader, recipe: TrainEmbeddingRecipe, contract: Contract) -> Learned:
    if recipe.on_pairs:
        scored = scored_rows(reader, recipe)
        columns: dict[str, Any] = {**scored.rows.columns, "label": scored.scores.astype("float32")}
        return Learned(scored.rows, columns, scored.left, scored.right)
    rows = build_rows(reader, recipe)
    refuse_no_negatives(recipe, rows)
    columns = {**rows.columns}
    notes: tuple[str, ...] = ()
    if recipe.chosen_objective.rows == "teacher":
        teacher = fitted(teacher_scores(reader, rows), recipe, contract, rows.draws)
        columns["label"], notes = teacher.scores, teacher.notes
    return Learned(rows, columns, *load_texts(reader, rows, contract), notes)
