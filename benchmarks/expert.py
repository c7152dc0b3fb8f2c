"""The script an expert writes from sentence-transformers' documentation, and nothing more.

    python benchmarks/expert.py PAIRS.jsonl BASE OUTPUT

PAIRS has lines {"anchor", "positive"}. Two epochs in batches of 32, 5e-5 with cosine decay after
10% warm-up, no text twice in a batch, bf16 where it may be, the model's own lengths.
"""

import json
import sys
from pathlib import Path

from datasets import Dataset
from sentence_transformers import (
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from sentence_transformers.base.training_args import BatchSamplers
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss


def main(pairs: str, base: str, output: str, epochs: float = 2.0) -> None:
    rows = [json.loads(line) for line in Path(pairs).read_text("utf-8").splitlines()]
    model = SentenceTransformer(base, device="cpu")
    trainer = SentenceTransformerTrainer(
        model=model,
        args=SentenceTransformerTrainingArguments(
            output_dir=output,
            num_train_epochs=epochs,
            per_device_train_batch_size=32,
            batch_sampler=BatchSamplers.NO_DUPLICATES,
            learning_rate=5e-5,
            lr_scheduler_type="cosine",
            warmup_steps=0.1,
            bf16=True,
            use_cpu=True,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        ),
        train_dataset=Dataset.from_list(rows),
        loss=MultipleNegativesRankingLoss(model),
    )
    trainer.train()
    model.save_pretrained(output)


if __name__ == "__main__":
    main(*sys.argv[1:4], *map(float, sys.argv[4:]))
