"""Which corpus, queries and qrels belong together: those that lie nearest to each other."""

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from workbench.data.intake import Input
from workbench.data.shapes.beir import looks_like_texts
from workbench.data.splits import split_of

_TEXTS = ("corpus", "queries")


def name_corpus(inputs: Sequence[Input]) -> None:
    """Where there are judgments and no file that is called a corpus: the files of texts with ids,
    as MS MARCO calls them 'msmarco_passage_00.jsonl', are it."""
    parts = {one.part for one in inputs}
    if "qrels" in parts and "corpus" not in parts:
        for one in inputs:
            if (
                one.part == "rows"
                and looks_like_texts(one.sample)
                and not split_of(one.source.label)
            ):
                one.part = "corpus"


def groups(inputs: Sequence[Input]) -> Iterator[list[Input]]:
    """For each set that has judgments: its files, and those that lie beside them.

    Qrels belong to the nearest folder above them that holds a corpus and queries, at any depth:
    ``qrels/test.tsv``, and ``data/test-00000-of-00001.parquet`` as hubs have it.
    """
    folders = {id(one): PurePosixPath(one.source.label).parent for one in inputs}
    qrels = [one for one in inputs if one.part == "qrels"]
    homes: dict[PurePosixPath, list[Input]] = {}
    for one in qrels:
        homes.setdefault(_home(folders[id(one)], inputs, folders), []).append(one)
    taken: set[int] = set()
    # The deepest first: what lies in one set is no part of another around it.
    for home in sorted(homes, key=lambda path: (-len(path.parts), str(path))):
        texts = [one for one in inputs if one.part in _TEXTS and id(one) not in taken]
        own = homes[home] + [one for one in texts if folders[id(one)].is_relative_to(home)]
        taken |= {id(one) for one in own}
        places = {home, *(folders[id(one)] for one in own)}
        others = [one for one in inputs if one.part not in ("qrels", *_TEXTS)]
        yield own + [one for one in others if folders[id(one)] in places]


def _home(
    folder: PurePosixPath, inputs: Sequence[Input], folders: dict[int, PurePosixPath]
) -> PurePosixPath:
    """The nearest folder with all that judgments need; their own where there is none."""
    for place in (folder, *folder.parents):
        below = {one.part for one in inputs if folders[id(one)].is_relative_to(place)}
        if below.issuperset(_TEXTS):
            return place
    return folder
