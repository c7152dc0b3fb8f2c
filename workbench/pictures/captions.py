"""What a picture is called: from rows that name it, from a text beside it, or from its name."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from workbench.data.splits import split_of

#: Columns that name a picture, and those that say what is on it; the first found wins.
FILES = (
    "file_name", "filename", "image", "picture", "image_path", "img", "photo", "path", "file",
    "image_file", "img_path", "filepath",
)  # fmt: skip
CAPTIONS = (
    "text", "caption", "captions", "texts", "description", "alt_text", "alt", "prompt", "sentence",
    "sentences", "title", "label", "query",
)  # fmt: skip
#: What cameras and programs call pictures: no captions.
_NO_WORDS = frozenset({
    "img", "image", "images", "dsc", "dscn", "dscf", "pic", "pict", "picture", "photo", "foto",
    "screenshot", "scan", "frame", "untitled", "unnamed", "export", "copy", "page", "wa", "vid",
    "mvimg", "pxl", "gopr", "dji",
})  # fmt: skip
#: Folders that say nothing about what is on their pictures.
_PLAIN_FOLDERS = frozenset({
    "images", "image", "pictures", "picture", "photos", "data", "imgs", "img", "files", "all",
})  # fmt: skip


def picture_column(names: Iterable[str]) -> str | None:
    """The column that names pictures, where one is called so."""
    lower = {str(name).strip().lower(): name for name in reversed(list(names))}
    return next((lower[name] for name in FILES if name in lower), None)


def caption_column(names: Iterable[str], picture: str) -> str | None:
    lower = {str(name).strip().lower(): name for name in reversed(list(names))}
    found = [lower[name] for name in CAPTIONS if name in lower and lower[name] != picture]
    return found[0] if found else None


def captions_in(value: Any) -> list[str]:
    """The captions a cell holds: one text, a list of them, or none."""
    values = value if isinstance(value, list) else [value]
    texts = [" ".join(one.split()) for one in values if isinstance(one, str)]
    return list(dict.fromkeys(text for text in texts if text))


def caption_of_name(label: str) -> str:
    """The words of a file's name ('red-bag_2.png': 'red bag'); of its folder's, where the name has
    none (ImageFolder's classes); '' where neither says anything."""
    path = PurePosixPath(label)
    words = _words(path.stem)
    if words:
        return " ".join(words)
    folder = path.parent.name
    # The outermost folder is what was dropped, not a class.
    inner = len(path.parts) > 2 and folder.lower() not in _PLAIN_FOLDERS
    return " ".join(_words(folder)) if inner and split_of(f"{folder}/x") is None else ""


def _words(name: str) -> list[str]:
    parts = re.split(r"[\s_\-.,+()\[\]]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name))
    words = [part for part in parts if part]
    while words and not any(letter.isalpha() for letter in words[-1]):
        words.pop()  # A number at the end tells pictures of one thing apart.
    telling = [
        word
        for word in words
        if word.lower() not in _NO_WORDS and sum(map(str.isalpha, word)) > len(word) / 2
    ]
    # Digests and the like are letters too, but not words.
    if not telling or all(len(word) > 24 for word in telling):
        return []
    return words


# Pictures that the workbench draws itself, with captions that say what is on them: by a seed.
#
# One or two groups of shapes on light paper: 'two large red stars at the top left and a small blue
# ring in the middle'. Colour, shape, number, size and place are all said, so that a caption tells
# its picture from nearly all others, and a model has to learn what goes with what.

COLOURS = {
    "red": (214, 40, 40),
    "orange": (243, 146, 28),
    "yellow": (240, 214, 34),
    "green": (44, 150, 62),
    "blue": (36, 84, 200),
    "purple": (134, 54, 170),
    "brown": (122, 78, 42),
    "black": (24, 24, 26),
}
SHAPES = ("circle", "square", "triangle", "star", "ring", "cross")
NUMBERS = ("a", "two", "three")
SIZES = {"small": 0.055, "large": 0.095}
#: Words -> where the group's middle lies, in shares of the picture.
PLACES = {
    "at the top left": (0.24, 0.24),
    "at the top right": (0.76, 0.24),
    "in the middle": (0.5, 0.5),
    "at the bottom left": (0.24, 0.76),
    "at the bottom right": (0.76, 0.76),
}
#: Drawn so many times as large and then made smaller: edges are smooth that way.
_FINE = 4
#: Chance of a second group.
_SECOND = 0.75


@dataclass(frozen=True, slots=True)
class Group:
    """Shapes of one kind, side by side."""

    number: int
    size: str
    colour: str
    shape: str
    place: str

    def words(self) -> str:
        plural = "" if self.number == 1 else "es" if self.shape == "cross" else "s"
        many = NUMBERS[self.number - 1]
        return f"{many} {self.size} {self.colour} {self.shape}{plural} {self.place}"


@dataclass(frozen=True, slots=True)
class Scene:
    """What is on a picture."""

    groups: tuple[Group, ...]

    def caption(self) -> str:
        return " and ".join(group.words() for group in self.groups)


def words() -> list[str]:
    """Every word that captions are made of."""
    shapes = [*SHAPES, *(f"{shape}{'es' if shape == 'cross' else 's'}" for shape in SHAPES)]
    places = [word for place in PLACES for word in place.split()]
    return list(dict.fromkeys([*NUMBERS, *SIZES, *COLOURS, *shapes, *places, "and"]))


def scenes(count: int, seed: int) -> list[Scene]:
    """Different scenes, the same for the same seed; more of them begin with the same ones."""
    random = np.random.default_rng(seed)
    found: dict[Scene, None] = {}
    while len(found) < count:
        found.setdefault(_scene(random))
    return list(found)


def draw(scene: Scene, size: int, seed: int) -> Image.Image:
    """The scene as RGB of ``size`` x ``size``; the seed moves and tints it a little."""
    random = np.random.default_rng(seed)
    full = size * _FINE
    paper = tuple(int(value) for value in random.integers(225, 256, 3))
    image = Image.new("RGB", (full, full), paper)
    pen = ImageDraw.Draw(image)
    for group in scene.groups:
        _draw_group(pen, group, full, random)
    return image.resize((size, size), Image.Resampling.BOX)


def _scene(random: np.random.Generator) -> Scene:
    count = 2 if random.random() < _SECOND else 1
    places = random.choice(len(PLACES), count, replace=False)
    groups = tuple(
        Group(
            int(random.integers(1, len(NUMBERS) + 1)),
            _pick(random, tuple(SIZES)),
            _pick(random, tuple(COLOURS)),
            _pick(random, SHAPES),
            tuple(PLACES)[place],
        )
        for place in sorted(places.tolist())
    )
    return Scene(groups)


def _pick(random: np.random.Generator, among: tuple[str, ...]) -> str:
    return among[int(random.integers(len(among)))]


def _draw_group(
    pen: ImageDraw.ImageDraw, group: Group, full: int, random: np.random.Generator
) -> None:
    radius = SIZES[group.size] * full * random.uniform(0.92, 1.08)
    tint = random.integers(-12, 13, 3)
    colour = tuple(
        int(np.clip(value + move, 0, 255))
        for value, move in zip(COLOURS[group.colour], tint, strict=True)
    )
    middle = np.array(PLACES[group.place]) * full + random.uniform(-0.03, 0.03, 2) * full
    for at in range(group.number):
        # One in the middle, two side by side, three in a triangle.
        angle = 2 * math.pi * at / group.number + (0.0 if group.number == 2 else -math.pi / 2)
        away = 0.0 if group.number == 1 else radius * (1.15 if group.number == 2 else 1.3)
        x, y = middle + away * np.array([math.cos(angle), math.sin(angle)])
        _draw_shape(pen, group.shape, float(x), float(y), radius, colour)


def _draw_shape(
    pen: ImageDraw.ImageDraw, shape: str, x: float, y: float, r: float, colour: tuple[int, ...]
) -> None:
    box = (x - r, y - r, x + r, y + r)
    if shape == "circle":
        pen.ellipse(box, fill=colour)
    elif shape == "ring":
        pen.ellipse(box, outline=colour, width=max(1, round(r * 0.45)))
    elif shape == "square":
        side = r * 0.88
        pen.rectangle((x - side, y - side, x + side, y + side), fill=colour)
    elif shape == "cross":
        arm = r * 0.33
        pen.rectangle((x - r, y - arm, x + r, y + arm), fill=colour)
        pen.rectangle((x - arm, y - r, x + arm, y + r), fill=colour)
    elif shape == "triangle":
        pen.polygon(_corners(x, y, [r] * 3), fill=colour)
    else:
        pen.polygon(_corners(x, y, [r, r * 0.42] * 5), fill=colour)


def _corners(x: float, y: float, radii: list[float]) -> list[tuple[float, float]]:
    """A polygon's corners, the first at the top, at these distances from its middle."""
    step = 2 * math.pi / len(radii)
    return [
        (x + far * math.sin(step * at), y - far * math.cos(step * at))
        for at, far in enumerate(radii)
    ]
