"""Pictures on the Search tab: as tiles, asked by a picture, and indexed from dropped files."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from storage.records import JobStatus
from tests.storage import make
from tests.ui.tabs.conftest import BAD
from tests.ui.visitor import drawn
from tests.workbench.data.fakes import bring
from tests.workbench.pictures.fakes import noise
from ui.routes.uploads import uploads_of
from ui.services import Services
from ui.tabs.search import build, hits, indexes, pictures, tab
from ui.tabs.search.hits import tiles
from ui.tabs.search.options import read
from workbench.errors import BadInput, ModelNotFound, WorkbenchError
from workbench.records import Index
from workbench.search.protocol import Hit, SearchResult

SEES = {"kind": "image-text", "dimensions": 64}


@pytest.fixture
def seen(services: Services, tmp_path: Path) -> Services:
    """A data set of two pictures, an index of them and one of their captions."""
    folder = tmp_path / "seen"
    folder.mkdir()
    (folder / "red fox.png").write_bytes(noise(1))
    (folder / "blue car.png").write_bytes(noise(2))
    bring(services.workspace, folder, name="seen")
    put_index(services, "i1", "sees", contract=SEES)
    put_index(services, "i2", "reads", contract={"kind": "embedding"})
    return services


def put_index(services: Services, id: str, name: str, **values: Any) -> Index:
    about = {"dataset_id": services.workspace.datasets.get("seen").id, "version": 1, **values}
    made: Index = services.workspace.store.indexes.insert(replace(make.index(id, name), **about))
    return made


def result(index: str, **values: Any) -> SearchResult:
    hits = [
        Hit(f"d{row}", row, 0.9 - row / 10, "", f"picture {row}", picture=f"pictures/{row}.png")
        for row in range(2)
    ]
    return SearchResult(hits, {"total": 5.0, "encode": 4.0, "search": 1.0}, "m", index, **values)


class FakeSearch:
    """Finds the two pictures, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[list[str], Path, str, str]] = []

    def search_picture(
        self, indexes: list[str], picture: Path, top_k: int, *, where: str, without: str
    ) -> list[SearchResult]:
        self.asked.append((indexes, picture, where, without))
        return [result(name, image=picture.name) for name in indexes]


def upload(services: Services, name: str, data: bytes) -> str:
    """A file as the drop zone hands it over."""
    uploads = uploads_of(services)
    uploads.folder.mkdir(parents=True, exist_ok=True)
    begun = uploads.begin(name, len(data))
    uploads.append(begun, 0, data)
    return begun.id


def test_hits_that_are_pictures_are_tiles(seen: Services) -> None:
    results = [result("sees"), result("reads")]
    html = hits.results_html(results, draws=tiles(seen, results))
    id = seen.workspace.datasets.get("seen").id
    assert html.count('<a class="rw-tile"') == 4
    assert f'src="/api/pictures/{id}/1/0?size=256" alt="picture 0" loading="lazy"' in html
    assert f'href="/api/pictures/{id}/1/1?size=1024"' in html
    # Only where a picture can be asked for.
    assert html.count("More like this") == 2 and 'data-pick="i1:1:0"' in html
    assert "same rank on both sides" in html


def test_a_blind_test_of_pictures_tells_nothing(seen: Services) -> None:
    results = [result("sees"), result("sees")]
    html = hits.results_html(results, hidden=True, draws=tiles(seen, results, more=False))
    assert html.count('<a class="rw-tile"') == 4
    assert not any(word in html for word in ("sees", "score", "ms", "data-pick"))


def test_a_caption_is_text_whatever_it_says(seen: Services) -> None:
    hit = Hit(BAD, 0, 0.5, BAD, BAD, picture="pictures/0.png")
    found = SearchResult([hit], {"total": 1.0}, "m", "sees", BAD)
    html = hits.results_html([found], draws=tiles(seen, [found]))
    assert "<script" not in html and html.count("<img") == 1


def test_a_dropped_picture_is_asked_of_the_sides_that_see(seen: Services) -> None:
    fake = FakeSearch()
    asked = replace(seen, search=fake)
    id = upload(seen, "mine.png", noise(7))
    html = pictures.ask_html(asked, f"upload:{id}", read("sees", "reads", "", "", "a = 1"))
    indexes, path, where, without = fake.asked[0]
    assert (indexes, path.name, where, without) == (["sees"], "mine.png", "a = 1", "")
    assert "data:image/webp;base64," in html
    assert "“reads” is a text index and was not searched" in html
    assert html.count("<section") == 1


def test_more_like_a_hit_leaves_itself_out(seen: Services) -> None:
    fake = FakeSearch()
    html = pictures.ask_html(replace(seen, search=fake), "found:i1:1:1", read("sees", "", "", ""))
    reader = seen.workspace.datasets.read("seen")
    place = reader.documents(1, 2)["picture"][0].as_py()
    assert fake.asked == [(["sees"], reader.folder / place, "", place)]
    assert "/1/1?size=256" in html


def test_more_like_a_hit_is_about_the_version_that_was_searched(seen: Services) -> None:
    """The index was brought up to date since the hit was drawn: its rows are others now."""
    fake = FakeSearch()
    index = seen.workspace.indexes.get("i1")
    seen.workspace.store.indexes.update(replace(index, version=2))
    pictures.ask_html(replace(seen, search=fake), "found:i1:1:1", read("sees", "", "", ""))
    reader = seen.workspace.datasets.read("seen", 1)
    assert fake.asked[0][1] == reader.folder / reader.documents(1, 2)["picture"][0].as_py()


@pytest.mark.parametrize(
    "name",
    [
        "",
        "found:i1:1:2",
        "found:i1:1",
        "found:i1:1:1:1",
        "found:i1:99999999999:1",
        "found:i1:1:-1",
        "found:i1:1:99999999999",
        "found:gone:1:0",
        "found:i1:1:x",
        "found:",
    ],
)
def test_a_picture_that_is_not_there_is_said(seen: Services, name: str) -> None:
    with pytest.raises(BadInput, match="no longer exists"):
        pictures.ask_html(replace(seen, search=FakeSearch()), name, read("sees", "", "", ""))


def test_an_upload_that_is_not_there_is_refused(seen: Services) -> None:
    from ui.routes.replies import Refused

    for name in ("upload:", "upload:../../workbench", "upload:0123"):
        with pytest.raises((Refused, WorkbenchError)):
            pictures.ask_html(replace(seen, search=FakeSearch()), name, read("sees", "", "", ""))


def test_without_an_index_of_pictures_it_says_what_to_choose(seen: Services) -> None:
    with pytest.raises(BadInput, match="No picture index is chosen"):
        pictures.ask_html(seen, "upload:x", read("reads", "", "", ""))


def test_the_zone_is_there_only_where_pictures_can_be_asked_for(seen: Services) -> None:
    search = drawn(tab.SearchTab, seen)
    part = search.by_picture
    assert part.view(["reads", "sees"])[part.box]["visible"]
    assert not part.view(["reads", "gone", "", None])[part.box]["visible"]
    shown = search.refresh(["sees"])
    assert shown[part.box]["visible"]
    labels = [label for label, _ in shown[search.options.index]["choices"]]
    assert [label for label in labels if label.endswith("pictures")] == [
        label for label in labels if label.startswith("sees")
    ]


def test_the_form_says_what_would_be_indexed(seen: Services) -> None:
    store = seen.workspace.store.models
    store.insert(make.model("m1", "words"))
    hint = build.hint_html
    assert "captions are indexed" in hint(seen, "seen", "words")
    store.insert(make.model("m2", "clip", kind="image-text"))
    assert "choose clip" in hint(seen, "seen", "words")
    assert "pictures themselves are indexed" in hint(seen, "seen", "clip")
    assert hint(seen, "gone", "clip") == "" and hint(seen, None, None) == ""


def test_skipped_pictures_are_listed_with_their_reasons(seen: Services) -> None:
    skipped = [{"id": "a.png", "problem": "picture-broken", "detail": f"cut off {BAD}"}]
    summary = {"skipped": 1, "skipped_pictures": skipped, "notes": []}
    put_index(seen, "i3", "some", contract=SEES, summary=summary)
    html = indexes.list_html(seen)
    assert "Pictures skipped: 1" in html and "a.png: cut off" in html and "<script" not in html


def raw(form: build.Build, *plain: str) -> list[Any]:
    """What the components send; those that are folded away as they were drawn."""
    return [*plain, *(one.value for one in form.extra.values())]


def test_files_become_a_data_set_and_its_index(services: Services) -> None:
    id = upload(services, "holiday.zip", b"PK")
    files = json.dumps([{"id": id}])
    form = drawn(build.Build, services)
    job = form.begin_upload(files, raw(form, "other", "all-MiniLM-L6-v2", "", "fast"))
    before = services.workspace.jobs.get(str(job.after))
    assert (before.recipe["name"], before.recipe["remove_after"]) == ("holiday", True)
    assert (job.recipe["dataset"], job.recipe["type"]) == ("holiday", "fast")
    assert job.status is JobStatus.QUEUED
    cards = build.job_html(services, job)
    assert cards.count("<article") == 2 and before.id in cards


def test_nothing_is_taken_where_the_index_cannot_be(services: Services) -> None:
    form = drawn(build.Build, services)
    with pytest.raises(BadInput, match="No file has been added yet"):
        form.begin_upload("", raw(form, "", "all-MiniLM-L6-v2", "", "exact"))
    files = json.dumps([{"id": upload(services, "a.jsonl", b"{}")}])
    with pytest.raises(ModelNotFound):
        form.begin_upload(files, raw(form, "", "no-such-model", "", "exact"))
    assert services.workspace.jobs.list() == []
