"""The drop zone on a real page: pieces, breaks, reloads, letting go, and the keyboard."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from tests.ui.serving import served, wait_until
from ui.kit import dropzone as dropzones
from ui.kit.dropzone import dropzone, staged_files
from ui.services import Services
from workbench.workspace import Workspace

# A real browser on a real page: several seconds each.
pytestmark = pytest.mark.slow

SLICE = 64 * 1024


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    workspace = Workspace.open(tmp_path_factory.mktemp("drop") / "home")
    yield Services(workspace)
    workspace.close()


@pytest.fixture(scope="module")
def site(services: Services) -> Iterator[str]:
    patch = pytest.MonkeyPatch()
    patch.setattr(dropzones, "SLICE", SLICE)
    patch.setattr(dropzones, "MOST_FILES", 10_000)
    with gr.Blocks() as blocks:
        drop = dropzone(services, "drop", label="Files of the data set", hint="JSONL, CSV")
        got = gr.Textbox(label="Arrived", elem_id="got")
        empty = gr.Button("Empty")
        drop.upload(lambda value: value, drop, got, trigger_mode="always_last")
        empty.click(lambda: "", outputs=drop)
    with served(services, blocks) as url:
        yield url
    patch.undo()


@pytest.fixture
def page(browser: Any, site: str) -> Iterator[Any]:
    context = browser.new_context()
    opened = context.new_page()
    opened.goto(site)
    yield opened
    context.close()


def write(folder: Path, name: str, size: int) -> Path:
    path = folder / name
    path.write_bytes(bytes(number % 251 for number in range(size)))
    return path


def choose(page: Any, *paths: Path) -> None:
    page.locator("#drop input[type=file]").set_input_files([str(path) for path in paths])


def arrived(page: Any, services: Services) -> list[Path]:
    """What a callback is given once everything is there."""
    field = page.locator("#got textarea")
    value = wait_until(lambda: field.input_value(), "the files to arrive")
    return staged_files(services, value)


def test_several_files_at_once_arrive_whole(page: Any, services: Services, tmp_path: Path) -> None:
    files = [write(tmp_path, name, 5 * SLICE + 17) for name in ("train.jsonl", "test.jsonl")]
    choose(page, *files, write(tmp_path, "<b>odd name.csv", 3))
    staged = arrived(page, services)
    assert [path.name for path in staged] == ["train.jsonl", "test.jsonl", "<b>odd name.csv"]
    assert [path.read_bytes() for path in staged[:2]] == [path.read_bytes() for path in files]
    assert page.locator("#drop li", has_text="ready").count() == 3
    page.get_by_role("button", name="Empty").click()
    wait_until(lambda: page.locator("#drop li").count() == 0, "the list to empty")


def test_after_a_dropped_connection_it_goes_on(
    page: Any, services: Services, tmp_path: Path
) -> None:
    sent: list[int] = []

    def sometimes(route: Any) -> None:
        sent.append(int(route.request.url.rpartition("=")[2]))
        if len(sent) in (2, 3):
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route("**/api/uploads/*offset=*", sometimes)
    file = write(tmp_path, "train.jsonl", 4 * SLICE)
    choose(page, file)
    [staged] = arrived(page, services)
    assert staged.read_bytes() == file.read_bytes()
    assert sent == [0, SLICE, SLICE, SLICE, 2 * SLICE, 3 * SLICE]


def test_after_a_reload_it_goes_on(page: Any, services: Services, tmp_path: Path) -> None:
    sent: list[str] = []
    page.on("request", lambda request: sent.append(f"{request.method} {request.url}"))
    page.route("**/api/uploads/*offset=131072", lambda route: route.abort("connectionreset"))
    file = write(tmp_path, "train.jsonl", 4 * SLICE)
    choose(page, file)
    page.locator("#drop li", has_text="50%").wait_for()
    page.reload()  # before the connection is mended: it would go on by itself and be done
    page.unroute_all()
    sent.clear()
    choose(page, file)
    [staged] = arrived(page, services)
    assert staged.read_bytes() == file.read_bytes()
    assert not any(line.startswith("POST") and "/api/uploads" in line for line in sent)
    assert not any(line.endswith("offset=0") for line in sent)


def test_letting_go_removes_it_on_the_server(page: Any, services: Services, tmp_path: Path) -> None:
    before = set(services.workspace.path("uploads").iterdir())
    page.route("**/api/uploads/*offset=65536", lambda route: None)  # never answered
    choose(page, write(tmp_path, "train.jsonl", 4 * SLICE))
    page.locator("#drop li", has_text="25%").wait_for()
    page.get_by_role("button", name="Remove train.jsonl").click()
    uploads = services.workspace.path("uploads")
    wait_until(lambda: set(uploads.iterdir()) == before, "the upload to be removed")
    assert page.locator("#drop li").count() == 0


def test_what_is_refused_is_said_beside_the_file(page: Any, tmp_path: Path) -> None:
    choose(page, write(tmp_path, ".hidden", 3))
    page.locator("#drop li.bad", has_text="cannot be used as a file name").wait_for()
    choose(page, write(tmp_path, "nothing.csv", 0))
    page.locator("#drop [role=alert]", has_text="nothing.csv is empty").wait_for()


def test_files_can_be_dropped_and_chosen_by_keyboard(
    page: Any, services: Services, tmp_path: Path
) -> None:
    field = page.locator("#drop input[type=file]")
    with page.expect_file_chooser() as chooser:
        # Focus and key in one: a page that is still being drawn may take the focus away between.
        field.press("Enter")
    chooser.value.set_files(str(write(tmp_path, "chosen.csv", 5)))
    page.locator("#drop li", has_text="ready").wait_for()
    page.evaluate(
        """() => {
          const data = new DataTransfer();
          data.items.add(new File(["dropped"], "dropped.txt"));
          const drop = new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true});
          document.querySelector("#drop label").dispatchEvent(drop);
        }"""
    )
    wait_until(lambda: page.locator("#drop li", has_text="ready").count() == 2, "both files")
    got = page.locator("#got textarea")
    wait_until(lambda: "dropped.txt" in got.input_value(), "both to be handed on")
    names = [one["name"] for one in json.loads(got.input_value())]
    assert names == ["chosen.csv", "dropped.txt"]


def folder_of(tmp_path: Path) -> tuple[Path, dict[str, bytes]]:
    """A folder as a person may have it, and what of it is to arrive: relative path -> bytes."""
    root = tmp_path / "my set"
    texts = {f"notes/{number:03}.md": b"# %d\n" % number for number in range(250)}
    texts |= {"corpus.jsonl": b"c" * (2 * SLICE + 5), "qrels/test.tsv": b"q", "a/b/c/d.txt": b"d"}
    texts |= {"a/empty.csv": b"", "zz.csv": b"z"}
    others = {".git/config": b"x", ".hidden.md": b"x", "run.exe": b"x", "film.MP4": b"x"}
    for path, data in (texts | others).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    return root, texts


def held(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


def drag(page: Any, *paths: Path) -> None:
    """Drop real files and folders from outside the browser, as a file manager does."""
    devtools = page.context.new_cdp_session(page)
    box = page.locator("#drop label").bounding_box()
    at = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        devtools.send("Input.dispatchDragEvent", {"type": kind, **at, "data": data})


def choose_folder(page: Any, folder: Path) -> None:
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="or choose a folder").click()
    chooser.value.set_files(str(folder))


@pytest.mark.parametrize("how", ["dropped", "chosen"])
def test_a_folder_arrives_with_its_paths(
    how: str, page: Any, services: Services, tmp_path: Path
) -> None:
    folder, texts = folder_of(tmp_path)
    if how == "dropped":
        drag(page, folder, write(tmp_path, "beside.csv", 3))
    else:
        choose_folder(page, folder)
    staged = {path.name: path for path in arrived(page, services)}
    assert held(staged["my set"]) == texts
    assert set(staged) == {"my set", *(["beside.csv"] if how == "dropped" else [])}
    row = page.locator("#drop li", has_text="my set")
    assert "255 files" in row.inner_text()
    assert "skipped files of other types: 2" in row.inner_text()


def test_a_folder_goes_on_after_a_reload(page: Any, services: Services, tmp_path: Path) -> None:
    folder, texts = folder_of(tmp_path)
    sent: list[str] = []
    page.on("request", lambda request: sent.append(f"{request.method} {request.url}"))
    page.route("**/api/uploads/*offset=65536", lambda route: route.abort("connectionreset"))
    drag(page, folder)
    page.locator("#drop li", has_text="49%").wait_for()
    page.reload()  # before the connection is mended: it would go on by itself and be done
    page.unroute_all()
    sent.clear()
    choose_folder(page, folder)
    [staged] = arrived(page, services)
    assert held(staged) == texts
    uploads = [line for line in sent if "/api/uploads" in line]
    assert not any(line.startswith("POST") or line.endswith("offset=0") for line in uploads)


def test_ten_thousand_files_and_more_than_may_be(
    page: Any, services: Services, tmp_path: Path
) -> None:
    folder = tmp_path / "notes"
    for part in range(10):
        (folder / f"{part}").mkdir(parents=True)
        for number in range(1_000):
            (folder / f"{part}/{number}.txt").write_bytes(b"%d" % number)
    drag(page, folder)
    [staged] = arrived(page, services)
    assert held(staged) == held(folder)
    page.get_by_role("button", name="Empty").click()
    wait_until(lambda: page.locator("#drop li").count() == 0, "the list to empty")
    (folder / "more.txt").write_bytes(b"x")
    drag(page, folder)
    page.locator("#drop li.bad", has_text="more than 10,000 files").wait_for()


def test_a_folder_can_be_let_go_and_an_empty_one_is_told(
    page: Any, services: Services, tmp_path: Path
) -> None:
    folder, _ = folder_of(tmp_path)
    before = set(services.workspace.path("uploads").iterdir())
    page.route("**/api/uploads/*offset=65536", lambda route: None)  # never answered
    drag(page, folder)
    page.locator("#drop li", has_text="49%").wait_for()
    page.get_by_role("button", name="Remove my set").click()
    uploads = services.workspace.path("uploads")
    wait_until(lambda: set(uploads.iterdir()) == before, "the upload to be removed")
    (tmp_path / "bare").mkdir()
    drag(page, tmp_path / "bare")
    page.locator("#drop li.bad", has_text="contains nothing that can be read").wait_for()
