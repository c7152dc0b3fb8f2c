"""From a pasted text to a recipe's values: the one function others call."""

import difflib
import re
from collections.abc import Mapping
from pathlib import Path

from workbench.commands import rules, tools, words
from workbench.commands.parse import Command, Option, looks_like_yaml, parse, read_yaml
from workbench.commands.reading import DataSource, Imported, Reading, shown
from workbench.data.shapes.recognise import recognise
from workbench.data.splits import split_of
from workbench.errors import BadInput
from workbench.models import registry
from workbench.models.resolve import find
from workbench.recipes.train import KINDS

# The files a command names, checked before they are imported.


def data_paths(data: DataSource) -> list[str]:
    """The paths to import; raises :class:`BadInput` where the command names none, or a dev file
    whose name does not say so (its rows would be trained on)."""
    if not data.train:
        raise BadInput(
            "The command names no training file.", "Give the data set's name with --dataset."
        )
    for path in data.dev:
        if split_of(Path(path).absolute().as_posix()) != "dev":
            raise BadInput(
                f"The file {path} is for judging, but would be read as training rows.",
                "Rename it so that its name begins or ends with 'dev' or 'valid'.",
            )
    return [*data.train, *data.dev]


def data_mapping(columns: Mapping[str, str]) -> list[str]:
    """ROLE=COLUMN for the import, where it would not know the columns for what they are."""
    if not columns:
        return []
    plan = recognise(dict.fromkeys(columns.values(), ""))
    if plan.format and not plan.guessed:
        return []
    # A score makes pairs of texts of a query and its document.
    scored = {"query": "left", "positive": "right", "score": "label"}
    roles = scored if "score" in columns else {}
    return [f"{roles.get(part, part)}={name}" for part, name in columns.items()]


def data_name(command: Imported) -> str:
    """What the data set is called: after its file, or after the run where it is a folder."""
    first = Path(command.data.train[0])
    named = first.stem if first.suffix else str(command.values.get("name") or first.name)
    return re.sub(r"[^\w.-]+", "-", named).strip("-.")[:80] or "imported"


_HINT = (
    "Paste a FlagEmbedding, EmbedRAG, open-retrievals or sentence-transformers command line, or an "
    "AutoTrain YAML."
)
#: How many processes torchrun and accelerate start.
_PROCESSES = ("nproc_per_node", "num_processes")
#: A launcher's own switches, which say nothing about the training.
_SWITCHES = ("m", "u", "c", "module", "end")


def read_command(text: str, *, kind: str | None = None, gpu: bool | None = None) -> Imported:
    """Read a command line or a YAML of settings.

    ``kind`` overrules what the command says; ``gpu`` says whether this machine has one (asked of
    the machine by default). Raises :class:`BadInput` where the text is no training command, and
    :class:`BadRecipe` (with a sentence per field) where a value cannot be taken.
    """
    if not text.strip():
        raise BadInput("There is no command.", _HINT)
    trainer = None
    if looks_like_yaml(text):
        command, trainer = read_yaml(text)
    else:
        command = parse(text)
    if not command.options:
        raise BadInput("There is no training command in this text: it has no options.", _HINT)
    tool = tools.recognise(command)
    chosen = kind or tool.kind
    reading = Reading(chosen, tool.name, _has_gpu() if gpu is None else gpu)
    for option in command.options:
        _one(reading, option)
    _around(reading, command)
    _trainer(reading, trainer)
    left_out = tools.defaults(tool.name, chosen, command.program.lower())
    _finish(reading, left_out)
    return _imported(reading)


def _one(reading: Reading, option: Option) -> None:
    """Take one word. The order decides: a word of ours that is also theirs has their meaning."""
    word = option.word
    if option.unset:
        reading.unclear(option, f"the text does not say what {option.unset} is.")
    elif word in rules.RULES:
        rules.RULES[word](reading, option)
    elif word in words.SAME:
        reading.put(words.SAME[word], option.text, option)
    elif word in words.FLAGS:
        if (said := reading.flag(option)) is not None:
            reading.put(words.FLAGS[word], said, option)
    elif word in words.NO_EQUAL:
        reading.note(option, words.NO_EQUAL[word])
    elif not _data(reading, option):
        _other(reading, option)


def _data(reading: Reading, option: Option) -> bool:
    word = option.word
    if word == "dataset" and reading.tool == "Retrieval Workbench":
        return False
    if word in words.TRAIN_DATA:
        reading.train += option.values
    elif word in words.DEV_DATA:
        reading.dev += option.values
    elif word in words.COLUMNS:
        reading.columns[words.COLUMNS[word]] = option.text
    elif word in ("train_split", "valid_split"):
        wanted = "train" if word == "train_split" else "dev"
        if split_of(f"{option.text}.jsonl") != wanted:
            reading.note(
                option,
                f"a file plays the part of {wanted} when its name says so: name it {wanted}.",
            )
    else:
        return False
    return True


def _other(reading: Reading, option: Option) -> None:
    """A field of ours by its own name, or a word that nobody knows."""
    if reading.has(option.word):
        info = KINDS[reading.kind].model_fields[option.word]
        # A bare flag of our own command line.
        value = option.text if option.values or info.annotation is not bool else True
        reading.put(option.word, value, option)
        return
    known = [*rules.RULES, *words.SAME, *words.FLAGS, *words.NO_EQUAL, *words.TRAIN_DATA]
    close = difflib.get_close_matches(option.word, known, n=1, cutoff=0.85)
    meant = f" Did you mean '{close[0]}'?" if close else ""
    reading.unclear(
        option, f"nothing is known about this word, so nothing was taken from it.{meant}"
    )


def _around(reading: Reading, command: Command) -> None:
    """The launcher, the environment, and words that belong to no option."""
    for option in command.launcher:
        if option.word in _PROCESSES and option.text.isdecimal():
            _devices(reading, option)
        elif option.word not in _SWITCHES:
            reading.note(option, words.NO_EQUAL.get(option.word, words.NO_EQUAL["nproc_per_node"]))
    if reading.values.get("negatives_cross_device") and "devices" not in reading.values:
        reading.notes.append(
            "negatives_cross_device: no effect on one device, whose batch holds all negatives "
            "anyway."
        )
    for name in command.environment:
        reading.notes.append(f"{name}: the environment stays as it is; set it before starting.")
    for word in command.stray:
        reading.unknown.append(f"'{word[:60]}': this belongs to no option.")


def _devices(reading: Reading, option: Option) -> None:
    """torchrun's and accelerate's number of processes, one for each GPU."""
    if int(option.text) < 2:
        return
    if reading.gpu:
        reading.put("devices", option.text, option)
        return
    reading.note(
        option,
        "there is no GPU here, and one process uses all cores, so devices stays 1; batch_size "
        f"times {option.text} gives a step as many queries as the command's.",
    )


def _trainer(reading: Reading, trainer: str | None) -> None:
    """AutoTrain's trainers: what the rows are, and so the objective."""
    if trainer == "triplet":
        reading.values.setdefault("negatives", 1)
    elif trainer in ("pair", "qa"):
        reading.values.setdefault("negatives", 0)
    elif trainer == "pair_score":
        for name in ("cosent", "cosine"):
            if reading.allows("objective", name):
                reading.values.setdefault("objective", name)
                return
        reading.notes.append(
            "task pair_score: no objective here learns the scores of pairs; pairs with a score "
            "are read as judgments, and trained on as query and relevant document."
        )
    elif trainer == "pair_class":
        reading.notes.append(
            "task pair_class: no classes are learnt here; a label of 1 or more makes the pair a "
            "query and its relevant document."
        )


def _finish(reading: Reading, left_out: tools.Values) -> None:
    _formats(reading)
    if reading.values.get("method") == "full":
        left_out = {name: value for name, value in left_out.items() if not name.startswith("lora_")}
        left_out.pop("target_modules", None)
    added = {
        name: value
        for name, value in left_out.items()
        if name not in reading.values and reading.has(name)
    }
    reading.values.update(added)
    if added:
        listed = ", ".join(f"{name} {value}" for name, value in added.items())
        reading.notes.append(f"Left out of the command, so as {reading.tool} has it: {listed}.")
    if reading.tool == "EmbedRAG" and "batch_size" not in reading.values:
        reading.notes.append("batch_size: EmbedRAG has no default; ours is taken.")
    _pair_length(reading)
    _model(reading)


def _pair_length(reading: Reading) -> None:
    """A reranker's ``max_len`` is of the pair; here the pair is cut at the sum of two lengths."""
    if reading.pair_length is None:
        return
    query = Option("max_len", (str(reading.values.get("query_max_len", 64)),))
    length = reading.whole(query)
    if length is None:
        return
    length = min(length, max(reading.pair_length // 2, 1))
    room = reading.pair_length - length
    said = reading.values.get("passage_max_len")
    passage = Option("passage_max_len", (str(said if said is not None else room),))
    wanted = reading.whole(passage)
    reading.values["query_max_len"] = length
    reading.values["passage_max_len"] = room if wanted is None else min(wanted, room)
    reading.notes.append(
        f"max_len {reading.pair_length}: the pair is cut at the sum of query_max_len ({length}) "
        f"and passage_max_len ({reading.values['passage_max_len']})."
    )


def _formats(reading: Reading) -> None:
    """``query_instruction_format``: '{}' stands for the instruction, then for the text."""
    for name, written in reading.formats.items():
        prompt = reading.values.get(name)
        form = written.replace("\\n", "\n")
        option = Option(f"{name.partition('_')[0]}_instruction_format", (written,))
        if prompt is None:
            reading.note(option, "there is no instruction that it could be put around.")
        elif form.count("{}") != 2 or not form.endswith("{}"):
            reading.note(
                option, "no equal: a prompt here stands before the text, nothing after it."
            )
        else:
            reading.values[name] = form[:-2].replace("{}", str(prompt))
            if form != "{}{}":
                reading.note(option, f"the prompt is {reading.values[name]!r}.")


def _model(reading: Reading) -> None:
    """A model named without its owner is left so, for it may be one of the workspace."""
    name = str(reading.values.get("model", ""))
    listed = find(name) if name and "/" not in name and "\\" not in name else None
    if listed is not None and listed.id not in registry.ALIASES:
        reading.notes.append(f"model {name}: on the hub this is {listed.id}.")


def _imported(reading: Reading) -> Imported:
    recipe = KINDS[reading.kind].read({"dataset": "-", **reading.values})
    checked = recipe.model_dump(include=set(reading.values))
    columns = _columns(reading)
    data = DataSource(tuple(reading.train), tuple(reading.dev), columns)
    return Imported(reading.kind, reading.tool, checked, data, reading.notes, reading.unknown)


def _columns(reading: Reading) -> dict[str, str]:
    """The columns' names, with a note where the importer must be told what they are."""
    columns = {part: name for part, name in reading.columns.items() if name}
    if mapping := data_mapping(columns):
        reading.notes.append(
            f"The columns are imported by the mapping {', '.join(mapping)}; give the same on the "
            "data page, or with 'data add --mapping'."
        )
    return columns


def _has_gpu() -> bool:
    from workbench.jobs.slots import gpus

    return bool(gpus())


__all__ = ["read_command", "shown"]
