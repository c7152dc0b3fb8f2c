"""Pictures through the real page: indexed with two models, found by words, by a picture, and side
by side; and an index from a dropped zip in one go."""

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.app import LONG, open_tab, running
from tests.workbench.data.fakes import context
from tests.workbench.models.fakes import FakeContext
from tests.workbench.pictures.fakes import bomb, noise
from workbench.pictures.captions import words
from workbench.pictures.sample import run as draw
from workbench.recipes.data import AddModelRecipe, DrawPicturesRecipe
from workbench.workspace import Workspace

# A browser, an app, three builds and a search process that import torch: a minute on two cores.
pytestmark = pytest.mark.slow

PICTURES = {"train_pictures": 50, "dev_pictures": 10, "test_pictures": 50}


def drawn(folder: Path) -> Path:
    """The pictures' sample, small, with two models of random weights; one picture's file."""
    from workbench.models.jobs import run_add
    from workbench.models.small_clip import make_small_clip

    workspace = Workspace.open(folder / "home")
    draw(DrawPicturesRecipe(name="drawn", model="", size=32, **PICTURES), context(workspace))
    for seed, name in enumerate(("first", "second")):
        make_small_clip(folder / name, words(), 32, seed)
        run_add(AddModelRecipe(source=str(folder / name), name=name), FakeContext(workspace))
    reader = workspace.datasets.read("drawn")
    kept = reader.folder / reader.documents(3, 4)["picture"][0].as_py()
    asked = folder / "asked.png"
    asked.write_bytes(kept.read_bytes())
    workspace.close()
    return asked


def test_pictures_are_found_by_words_and_by_pictures(page: Any, tmp_path: Path) -> None:
    asked = drawn(tmp_path)
    with running(tmp_path) as app:
        page.goto(app.url())
        page.get_by_role("tab", name="Search", exact=True).first.wait_for()
        open_tab(page, "Search")
        build(page, "one", "first")
        build(page, "two", "second")
        by_words(page)
        large(page)
        by_a_picture(page, asked)
        more_like_it(page)
        refused(page, tmp_path)
        blind(page)
        from_a_zip(page, tmp_path)
        # The app ends before the page does: nothing may be on its way then.
        page.goto("about:blank")


def choose(page: Any, menu: str, value: str) -> None:
    """In a menu of the page; its value may be typed."""
    field = page.locator(menu).locator("input")
    field.fill(value)
    field.press("Enter")
    page.keyboard.press("Tab")


def build(page: Any, name: str, model: str) -> None:
    choose(page, "#index-dataset", "drawn")
    choose(page, "#index-model", model)
    expect(page.locator("#index-hint")).to_contain_text("pictures themselves", timeout=LONG)
    page.locator("#index-name").locator("input, textarea").fill(name)
    page.locator("#index-build").click()
    row = page.locator("#search-index-list tbody tr", has_text=name)
    row.wait_for(timeout=LONG)
    assert "pictures" in row.inner_text() and "1.000" in row.inner_text()


def by_words(page: Any) -> None:
    """What was built last stands beside what was built before."""
    page.locator("#search-query textarea").fill("two large red stars")
    page.locator("#search-query textarea").press("Enter")
    sides = page.locator("#search-results section")
    sides.nth(1).locator("a.rw-tile img").first.wait_for(timeout=LONG)
    assert sides.count() == 2
    for at in (0, 1):
        assert sides.nth(at).locator("a.rw-tile").count() == 10
        header = sides.nth(at).locator("header").inner_text()
        assert "encode" in header and " ms" in header
        item = sides.nth(at).locator("li").first
        assert "score" in item.inner_text() and item.locator("img").get_attribute("alt")
    assert page.evaluate(LOADED)


#: Whether the first tile's picture came and was decoded.
LOADED = """() => document.querySelector('#search-results a.rw-tile img').decode()
  .then(() => document.querySelector('#search-results a.rw-tile img').naturalWidth > 0)"""


def large(page: Any) -> None:
    """By keyboard: opens, goes on, closes, and the focus is on what was looked at."""
    tiles = page.locator("#search-results section").first.locator("a.rw-tile")
    tiles.nth(0).focus()
    page.keyboard.press("Enter")
    shown = page.locator("dialog.rw-large")
    expect(shown.locator("img")).to_have_attribute(
        "alt", tiles.nth(0).locator("img").get_attribute("alt")
    )
    page.keyboard.press("ArrowRight")
    expect(shown.locator("img")).to_have_attribute(
        "alt", tiles.nth(1).locator("img").get_attribute("alt")
    )
    page.keyboard.press("Escape")
    expect(shown).to_have_count(0)
    expect(tiles.nth(1)).to_be_focused()


#: Notes that the button was switched off and then on again.
WATCHED = """() => {
  const button = document.querySelector('#search-picture-again');
  let asked = false;
  window.answeredAgain = false;
  new MutationObserver(() => {
    asked = asked || button.disabled;
    window.answeredAgain = asked && !button.disabled;
  }).observe(button, { attributes: true });
}"""


def by_a_picture(page: Any, asked: Path) -> None:
    """Both sides find the very picture first; it scores 1."""
    page.locator("#search-picture-drop input[type=file]").set_input_files(str(asked))
    page.locator("#search-results .rw-sought img[src^='data:image/webp']").wait_for(timeout=LONG)
    sides = page.locator("#search-results section")
    expect(sides).to_have_count(2)
    for at in (0, 1):
        assert "score 1.000" in sides.nth(at).locator("li").first.inner_text()
    # The zone is empty again, and the picture can be searched with once more.
    expect(page.locator("#search-picture-drop li")).to_have_count(0)
    page.evaluate(WATCHED)
    page.locator("#search-picture-again").click()
    # Before it has answered, the button can be seen as it was: what is asked next would then be
    # answered first, and its answer be replaced.
    page.wait_for_function("window.answeredAgain === true", timeout=LONG)
    assert "score 1.000" in sides.first.locator("li").first.inner_text()


def more_like_it(page: Any) -> None:
    """From a hit, which is itself not among what is found."""
    first = page.locator("#search-results section").first.locator("li").first
    caption = first.locator("img").get_attribute("alt")
    first.locator(".rw-pick").click()
    page.locator("#search-results .rw-sought img[src*='/api/pictures/']").wait_for(timeout=LONG)
    found = page.locator("#search-results section").first.locator("a.rw-tile img")
    expect(found).to_have_count(10)
    assert caption not in [found.nth(at).get_attribute("alt") for at in range(10)]


def refused(page: Any, folder: Path) -> None:
    bad = folder / "bomb.png"
    bad.write_bytes(bomb())
    page.locator("#search-picture-drop input[type=file]").set_input_files(str(bad))
    page.locator("[data-testid=toast-body]", has_text="The picture cannot be used").wait_for(
        timeout=LONG
    )
    page.locator("#search-results section").first.wait_for()
    for close in page.locator("[data-testid=toast-close]").all():
        close.click()


def blind(page: Any) -> None:
    """Pictures, hidden: neither scores nor a way to ask on; then told which was which."""
    page.locator("#search-blind > button").click()
    page.locator("#blind-query").locator("input, textarea").fill("a small blue ring")
    page.locator("#blind-start").click()
    page.locator("#blind-shown a.rw-tile").first.wait_for(timeout=LONG)
    hidden = page.locator("#blind-shown").inner_text()
    assert not any(word in hidden for word in ("score", " ms", "first", "More like this"))
    page.locator("#blind-left").click()
    page.locator("#blind-tally tbody tr").wait_for(timeout=LONG)
    assert "You picked" in page.locator("#blind-revealed").inner_text()


def from_a_zip(page: Any, folder: Path) -> None:
    """Imported and indexed: the data set is named as its file, and its index is asked."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for number, name in enumerate(("red fox", "blue car", "old tree")):
            archive.writestr(f"{name}.png", noise(number, 40))
    path = folder / "holiday.zip"
    path.write_bytes(packed.getvalue())
    page.locator("#index-upload > button").click()
    page.locator("#index-drop input[type=file]").set_input_files(str(path))
    page.locator("#index-drop li", has_text="holiday.zip").wait_for()
    page.locator("#index-upload-start").click()
    row = page.locator("#search-index-list tbody tr", has_text="holiday")
    row.wait_for(timeout=LONG)
    assert "3" in row.inner_text() and "pictures" in row.inner_text()
