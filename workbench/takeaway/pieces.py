"""The pieces that a script is put together from: code as text, for ``string.Template``.

A script has no import of the workbench: what it needs beyond sentence-transformers stands in it.
"""

HEAD = '''\
"""Repeats the training run of $name with sentence-transformers alone.

    pip install $packages
    $launch train.py [BASE_MODEL]

rows.jsonl beside this file holds the training rows (several times where each epoch saw others of
a row's negatives), batches.jsonl which of them the run saw together, a line for each epoch: no two
rows of one query, and no document that is relevant to
another row's query, where a batch's other documents are negatives. Written for the versions
above; with others the losses may differ a little. What the run kept, this script keeps in output/:
$kept.
"""

import json
import os
import sys
from pathlib import Path

$imports

HERE = Path(__file__).resolve().parent
OUTPUT = HERE / "output"
BASE = sys.argv[1] if len(sys.argv) > 1 else $base
DEVICE = f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if torch.cuda.is_available() else "cpu"
SEED = $seed
QUERY_MAX_LEN = $query_max_len
PASSAGE_MAX_LEN = $passage_max_len
$constants


def read_rows():
    with (HERE / "rows.jsonl").open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]

'''

ROWS = """
# Stands where a row has fewer negatives than others. Not None: the library's model card takes the
# lengths of texts. Not "": a document may have no words.
NONE = "\\0"


def as_dataset(rows):
    columns = {"query": [row["query"] for row in rows]}
    columns["positive"] = [row["positive"] for row in rows]
    for at in range(max(len(row["negatives"]) for row in rows)):
        given = [row["negatives"][at : at + 1] for row in rows]
        columns[f"negative_{at + 1}"] = [one[0] if one else NONE for one in given]
    if "label" in rows[0]:
        columns["label"] = [row["label"] for row in rows]
    return Dataset.from_dict(columns)

"""

BY_ROLE = '''
class ByRole:
    """Tokenizes a batch's queries and documents, each with their prompt and length."""

    valid_label_columns = ("label",)

    def __init__(self, model):
        self.model = model

    def __call__(self, features):
        columns = [name for name in features[0] if name not in ("query", "label")]
        documents = [one[name] for name in columns for one in features]
        texts = {
            "query": [one["query"] for one in features],
            # All positives, then the negatives there are.
            "document": [text for text in documents if text != NONE],
        }
        batch = {}
        for role, given in texts.items():
            query = role == "query"
            tokens = self.model.preprocess(
                given,
                prompt=(QUERY_PROMPT if query else DOCUMENT_PROMPT) or None,
                task=role,
                max_length=QUERY_MAX_LEN if query else PASSAGE_MAX_LEN,
            )
            batch.update({f"{role}_{key}": value for key, value in tokens.items()})
            batch[f"{role}_task"] = role
        if "label" in features[0]:
            batch["label"] = torch.tensor([one["label"] for one in features])
        return batch

'''

BATCHES = '''
class Batches(DefaultBatchSampler):
    """The batches of the run, as numbers of rows, epoch by epoch."""

    def __init__(self, dataset, **options):
        super().__init__(dataset, **options)
        # They have several sizes: devices that share them shall not wait for full ones.
        self.batch_size = None
        with (HERE / "batches.jsonl").open(encoding="utf-8") as file:
            self.epochs = [json.loads(line) for line in file]

    def __iter__(self):
        yield from self.epochs[min(self.epoch, len(self.epochs) - 1)]

    def __len__(self):
        return len(self.epochs[0])

'''

PAIRS = '''
class Pairs:
    """Queries with their documents and labels; the losses tokenize the pairs themselves."""

    valid_label_columns = ("label",)

    def __init__(self, model):
        self.tokenizer = model.tokenizer

    def __call__(self, features):
        rows = [list(feature.values()) for feature in features]
        queries = self.cut([row[0] for row in rows])
        documents = [row[1:] for row in rows]
        labels = [[RIGHT] + [0.0] * (len(one) - 1) for one in documents]
        if LISTWISE:
            labels = [torch.tensor(one) for one in labels]
            return {"query": queries, "documents": documents, "label": labels}
        return {
            "query": [query for query, one in zip(queries, documents) for _ in one],
            "document": [text for one in documents for text in one],
            "label": torch.tensor([label for one in labels for label in one]),
        }

    def cut(self, texts):
        """Queries without what follows their first QUERY_MAX_LEN tokens."""
        length = max(QUERY_MAX_LEN, 8)
        found = self.tokenizer(
            texts,
            add_special_tokens=False,
            truncation=True,
            max_length=length,
            return_offsets_mapping=True,
        )
        return [
            text if len(offsets) < length else text[: offsets[-1][1]]
            for text, offsets in zip(texts, found["offset_mapping"])
        ]

'''

KEEPER = '''
class Keep(TrainerCallback):
    """Saves the weights of KEEP_STEP, and ends where the run ended."""

    def __init__(self, model):
        self.model = model

    def on_step_end(self, args, state, control, **_):
        if state.global_step == KEEP_STEP and state.is_world_process_zero:
            # Saved with the length that the model is used at, which may be another.
            trained, self.model.max_seq_length = self.model.max_seq_length, USED_MAX_LEN
            self.model.save_pretrained(str(OUTPUT), create_model_card=False)
            self.model.max_seq_length = trained
        if state.global_step >= LAST_STEP:
            control.should_training_stop = True

'''

AVERAGE = '''
class Average(TrainerCallback):
    """After the last step the trained weights are the mean of those after each step that came
    after AVERAGE_AFTER."""

    def __init__(self, model):
        self.model = model
        self.sums = {}

    def on_step_end(self, args, state, control, **_):
        if state.global_step <= AVERAGE_AFTER:
            return
        with torch.no_grad():
            for name, weight in self.model.named_parameters():
                if not weight.requires_grad:
                    continue
                self.sums[name] = self.sums.get(name, 0) + weight.float()
                if state.global_step == LAST_STEP:
                    weight.copy_(self.sums[name] / (LAST_STEP - AVERAGE_AFTER))

'''

BLEND = '''
class Blend(TrainerCallback):
    """After the last step the trained weights go back a part of their way: TRAINED_SHARE of it is
    left between what they began as and what they are now."""

    def __init__(self, model):
        self.model = model
        # An adapter is a product of two halves. One begins at zero, so that a share of it is that
        # share of the adapter; the one that begins at random stays as it was trained.
        self.start = {
            name: weight.detach().clone()
            for name, weight in model.named_parameters()
            if weight.requires_grad and not any(half in name for half in RANDOM_HALF)
        }

    def on_step_end(self, args, state, control, **_):
        if state.global_step < LAST_STEP:
            return
        with torch.no_grad():
            for name, weight in self.model.named_parameters():
                if name in self.start:
                    start = self.start[name].float()
                    weight.copy_(torch.lerp(start, weight.float(), TRAINED_SHARE))

'''

LOAD_PLAIN = """\
    # Without this, a tokenizer with a chat template would wrap each text in a conversation.
    text_only, output = Transformer._get_default_modality_config({})
    transformer = Transformer(
        BASE, model_kwargs=$kept, modality_config=text_only, module_output_name=output
    )
"""

ANSWERS = """\
    answers = []
    for word in ANSWERS:
        # Some tokenizers have an answer as one token with a space before it only.
        encode = tokenizer.encode
        spelled = [encode(one, add_special_tokens=False) for one in (word, " " + word)]
        unknown = [tokenizer.unk_token_id]
        answers.append(next(ids[0] for ids in spelled if len(ids) == 1 and ids != unknown))
"""

LOAD_LLM = """\
    transformer = Transformer(
        BASE,
        transformer_task="text-generation",
        model_kwargs=$kept,
        processor_kwargs=$asked,
    )
    tokenizer = transformer.tokenizer
$answers    modules = [transformer, LogitScore(*answers)]
    model = CrossEncoder(modules=modules, device=DEVICE, activation_fn=torch.nn.Identity())
"""

ASK = """\
    tokenizer = model.tokenizer
    tokenizer.chat_template = CHAT_TEMPLATE
"""

ASK_ANSWERS = """\
    for module in model:
        if isinstance(module, LogitScore):
            module.true_token_id, module.false_token_id = answers
"""

LOAD_M3 = """\
    # bge-m3's own head for a vector per token; the first token is left out.
    file = cached_file(BASE, "colbert_linear.pt")
    weights = torch.load(file, map_location="cpu", weights_only=True)
    size, width = weights["weight"].shape
    head = projection(width, size, bias="bias" in weights)
    head.linear.load_state_dict({name: value.float() for name, value in weights.items()})
    first = transformer.tokenizer.cls_token
    mask = MultiVectorMask(
        skiplist_words=[first] if first else [], skiplist_tasks=["query", "document"]
    )
    modules = [transformer, head, mask, Normalize(module_input_name="token_embeddings")]
    model = MultiVectorEncoder(modules=modules, device=DEVICE)
"""

LOAD_FRESH = """\
    # The base brings no projection of its own: the run began with this one.
    weights = torch.load(HERE / "projection.pt", weights_only=True)
    model[1] = projection(weights.shape[1], weights.shape[0]).to(model.device)
    model[1].linear.weight.data.copy_(weights)
"""

PROJECTION = """
def projection(width, size, bias=False):
    return Dense(
        in_features=width,
        out_features=size,
        bias=bias,
        activation_function=torch.nn.Identity(),
        module_input_name="token_embeddings",
    )

"""

PADDING = """\
    # Decoders often have no padding token; what stands there is masked, so any will do.
    if getattr(model[0].tokenizer, "pad_token", "") is None:
        model[0].tokenizer.pad_token = model[0].tokenizer.eos_token or model[0].tokenizer.unk_token
"""

STEADY = """\
    # bitsandbytes would repack the 4-bit weights of a CPU, and round them, at an evaluation.
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
"""

ADAPTER = """\
    model[0].model.requires_grad_(False)
    model.add_adapter(
        LoraConfig(
            r=$r,
            lora_alpha=$alpha,
            lora_dropout=$dropout,
            target_modules=$targets,
            modules_to_save=$heads,
        )
    )
    # What is trained is fp32, whatever the frozen weights are kept in.
    for name, module in model[0].model.named_modules():
        if "lora_" in name or "modules_to_save" in name:
            for parameter in module.parameters(recurse=False):
                if parameter.is_floating_point():
                    parameter.data = parameter.data.float()
    for module in list(model)[1:]:
        module.float()
"""

MAIN = """
def main():
    set_seed(SEED)
    model = load_model()
    in_chunks(model)
    dataset = as_dataset(read_rows())
    arguments = $arguments_class(
        output_dir=str(HERE / "checkpoints"),
        use_cpu=DEVICE == "cpu",
$arguments
    )
    arguments.batch_sampler = Batches
    # Several devices are several processes: none copies the model to all GPUs it can see.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    if DEVICE != "cpu" and not (arguments.bf16 or arguments.fp16):
        torch.set_float32_matmul_precision("high")
    trainer = $trainer_class(
        model=model,
        args=arguments,
        train_dataset=dataset,
        loss=$loss,
        data_collator=$collator(model),
        callbacks=[$callbacks],
    )
    trainer.train()
    if not trainer.is_world_process_zero():
        return
    OUTPUT.mkdir(exist_ok=True)
    steps = [entry for entry in trainer.state.log_history if "loss" in entry]
    (OUTPUT / "losses.json").write_text(json.dumps(steps, indent=2))
    print(f"{len(steps)} steps, last loss {steps[-1]['loss']:.4f}; the model is in {OUTPUT}.")


if __name__ == "__main__":
    main()
"""

README = """\
# $name: the run as a script

`train.py` repeats the training run of `$name` (base `$base_name`, data set `$dataset`) with
sentence-transformers alone: `pip install $packages`, then `$launch train.py`, or
`$launch train.py BASE_MODEL` where the base model lies elsewhere.

`rows.jsonl` holds the $rows training rows, all of them again for each choice of negatives among a
row's candidates; `batches.jsonl` the run's batches as numbers of its lines (from 0), a line for
each epoch.
"""
