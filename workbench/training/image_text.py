"""The task 'train-image-text': a CLIP-like model fine-tuned on pictures and their captions.

Symmetric contrastive loss (CLIP, Radford et al. 2021): among a batch's pictures each caption shall
find its own, and among its captions each picture its own.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from datasets import Dataset
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from sentence_transformers.sentence_transformer.training_args import (
    SentenceTransformerTrainingArguments,
)
from sentence_transformers.util import dot_score

from workbench.data.reader import DatasetReader
from workbench.errors import BadInput
from workbench.evaluation.pictures import OnPictures, has_pictures, no_pictures
from workbench.evaluation.pool import Pool
from workbench.jobs.reporting import JobContext
from workbench.models.contract import Contract
from workbench.models.image_text import (
    ROOM,
    LoadedImageText,
    Pixels,
    picture_features,
    preprocess_texts,
)
from workbench.models.locate import LocalModel
from workbench.models.resolve import refuse_two
from workbench.recipes.train_kinds import TrainImageTextRecipe
from workbench.training.callbacks import Cadence, Recorder
from workbench.training.dev import Dev, Retrieval
from workbench.training.distributed import across_devices
from workbench.training.loss import as_trained, training_lengths
from workbench.training.objectives import PassThrough, VectorLoss
from workbench.training.rows import (
    Texts,
    TrainingRows,
    build_rows,
    load_texts,
    with_pictures,
)
from workbench.training.run import Place, Prepared, Run, batched_arguments, searched
from workbench.training.trainer import Collator, EmbeddingTrainer


class ImageTextTraining:
    """What is particular to pictures. One object serves one run: it keeps the run's pictures."""

    def __init__(self) -> None:
        self.pixels = Pixels(ROOM)

    def start(
        self,
        recipe: TrainImageTextRecipe,  # noqa: ARG002 - other kinds change the contract by it
        base: LocalModel,
    ) -> Contract:
        contract = base.contract
        if not contract.model_kind.reads_pictures:
            raise BadInput(
                f"'{base.name}' is a {contract.kind} model: it does not see pictures.",
                "Choose a CLIP-like model.",
            )
        refuse_two(base.name, contract)
        return contract

    def brings(self, recipe: Any, base: LocalModel) -> bool:  # noqa: ARG002 - other kinds ask
        """A model of random weights ranks, too: by chance."""
        return True

    def dev(
        self,
        recipe: TrainImageTextRecipe,
        context: JobContext,
        reader: DatasetReader,
        output: Path,
        place: Place,  # noqa: ARG002 - other kinds load a first stage there
    ) -> Dev:
        if not has_pictures(reader):
            raise no_pictures(reader)
        pool = searched(recipe, reader)
        return Dev(text_to_picture(pool, reader.folder, self.pixels), context, output)

    def contract(
        self, loaded: LoadedImageText, recipe: TrainImageTextRecipe, base_name: str
    ) -> Contract:
        return as_trained(loaded.contract, loaded.model, recipe, base_name)

    def begin(self, run: Run, loaded: LoadedImageText) -> None:
        """Nothing: it is measured and trained as it is."""

    def prepare(
        self, run: Run, loaded: LoadedImageText, recorder: Recorder, cadence: Cadence
    ) -> Prepared:
        recipe, contract, model = run.recipe, loaded.contract, loaded.model
        rows = with_pictures(run.reader, build_rows(run.reader, run.asks_rows))
        captions, _ = load_texts(run.reader, rows, contract)
        model.prompts = {"query": contract.query_prompt, "document": contract.document_prompt}
        lengths = training_lengths(model, recipe)
        cut = contract.model_copy(update=lengths)
        arguments, made = batched_arguments(SentenceTransformerTrainingArguments, run, rows)
        pictures = Pictures(run.reader, rows, self.pixels)
        trainer = EmbeddingTrainer(
            model,
            contract=contract,
            dev=run.dev_evaluation(loaded),
            args=arguments,
            train_dataset=Dataset.from_dict(rows.columns),
            loss=picture_loss(model, contract, recipe, across=across_devices(recipe, run.group)),
            data_collator=PictureCollator(model, captions, pictures, cut),
            callbacks=[recorder, cadence],
        )
        return Prepared(trainer, rows, made, rows.notes, lengths)


def picture_loss(
    model: Any, contract: Contract, recipe: TrainImageTextRecipe, *, across: bool = False
) -> VectorLoss:
    """A caption shall find its picture, and a picture its caption, by the scores of search."""
    objective = MultipleNegativesRankingLoss(
        PassThrough(),
        scale=1.0 / recipe.temperature,
        similarity_fct=dot_score,
        directions=("query_to_doc", "doc_to_query"),
        partition_mode="per_direction",
        gather_across_devices=across,
    )
    return VectorLoss(model, objective, by_cosine=contract.normalize)


def text_to_picture(pool: Pool, folder: Path, pixels: Pixels) -> Retrieval:
    """The dev captions search a pool of pictures, which lie in ``folder``."""
    return Retrieval(pool, lambda model: OnPictures(replace(model, pixels=pixels), folder))


class Pictures:
    """The pictures that training rows name, by their row in the data set."""

    def __init__(self, reader: DatasetReader, rows: TrainingRows, pixels: Pixels) -> None:
        wanted = rows.documents.tolist()
        places = reader.documents_at(wanted)["picture"].to_pylist()
        self.pixels = pixels
        self._paths = {
            row: reader.folder / place for row, place in zip(wanted, places, strict=True) if place
        }

    def get(self, rows: Sequence[int]) -> list[Path]:
        return [self._paths[row] for row in rows]


class PictureCollator(Collator):
    """Captions as tokens, pictures as their numbers."""

    def __init__(self, model: Any, captions: Texts, pictures: Pictures, contract: Contract) -> None:
        super().__init__(model, captions, captions, contract)
        self.pictures = pictures

    def read(self, role: str, texts: list[str]) -> dict[str, Any]:  # noqa: ARG002 - captions alone
        contract = self.contract
        return preprocess_texts(self.model, texts, contract.query_prompt, contract.query_max_len)

    def _features(self, role: str, rows: list[int]) -> dict[str, Any]:
        if role == "query":
            return super()._features(role, rows)
        return picture_features(self.model, self.pictures.pixels, self.pictures.get(rows))
