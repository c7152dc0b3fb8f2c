"""The live chart on a real page: it extends, loses nothing, and survives what happens to pages."""

import secrets
from collections.abc import Iterator
from typing import Any

import gradio as gr
import pytest

from storage.records import JobStatus
from tests.ui.serving import Run, served, wait_until
from ui.kit.live import live_chart, live_log, notices, pulse
from ui.routes import live
from ui.services import Services
from ui.tabs.compare.explorer import Explorer
from ui.tabs.search import blind
from ui.tabs.train.sweep import sweep_chart
from workbench.workspace import Workspace

# A real browser on a real page: several seconds each.
pytestmark = pytest.mark.slow

POINTS = """id => Object.fromEntries([...document.querySelectorAll(`#${id} .rw-live-plot`)].map(
  (div, at) => [['loss', 'dev', 'learning_rate', 'grad_norm'][at], div.data?.[0].x ?? []]))"""
ASKED = """() => performance.getEntriesByType('resource').filter(
  entry => entry.name.includes('/points')).length"""

#: How many listeners document and window have by name, and how many timers are set.
COUNTED = """
const kept = { timers: new Set() };
for (const name of ['workbench:changes', 'visibilitychange', 'keydown', 'pointerover']) {
  kept[name] = new Set();
}
const counts = (target, name) => (target === document || target === window) && kept[name];
const { addEventListener: add, removeEventListener: remove } = EventTarget.prototype;
EventTarget.prototype.addEventListener = function (name, heard, ...more) {
  if (counts(this, name)) kept[name].add(heard);
  return add.call(this, name, heard, ...more);
};
EventTarget.prototype.removeEventListener = function (name, heard, ...more) {
  if (counts(this, name)) kept[name].delete(heard);
  return remove.call(this, name, heard, ...more);
};
const { setInterval: begin, clearInterval: end } = window;
window.setInterval = (...about) => {
  const one = begin(...about);
  kept.timers.add(one);
  return one;
};
window.clearInterval = (one) => { kept.timers.delete(one); return end(one); };
window.listening = () =>
  Object.fromEntries(Object.entries(kept).map(([name, all]) => [name, all.size]));
"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    opened = Workspace.open(tmp_path_factory.mktemp("live") / "home")
    yield opened
    opened.close()


@pytest.fixture
def run(workspace: Workspace) -> Run:
    made = Run(workspace, name="tea <b>& cake</b>", id=secrets.token_hex(5))
    made.start()
    made.baseline()
    return made


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page; whatever goes wrong on it fails the test."""
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    opened = context.new_page()
    wrong: list[str] = []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    yield opened
    context.close()
    assert wrong == []


def build(services: Services) -> gr.Blocks:
    """Two charts and a log of the job that the address names; a button turns one to another, and
    a switch draws everything that listens to the document anew."""
    with gr.Blocks() as blocks:
        notices(services)
        with gr.Tab("Run"):
            first, second = live_chart(services, "first"), live_chart(services, "second")
            log = live_log(services, "log")
            gr.Button("Turn").click(_other, outputs=first)
        with gr.Tab("Other"):
            gr.Markdown("elsewhere")
            switch = gr.Checkbox(label="Drawn")
            with gr.Column(visible=False) as drawn:
                pulse(services)
                again = [live_chart(services, "third"), live_log(services, "fourth")]
                again.append(sweep_chart(services, "fifth"))
                explorer = Explorer(services, "explore", "explorer")
                blind.Blind(services)
            switch.input(_draw, switch, [drawn, explorer.box, *again], queue=False)
        blocks.load(_thrice, outputs=[first, second, log], queue=False)
    return blocks


def _job(request: gr.Request) -> str:
    return str(request.query_params["job"])


def _thrice(request: gr.Request) -> list[str]:
    return [_job(request)] * 3


def _draw(wanted: bool, request: gr.Request) -> list[Any]:
    parts = [gr.Column(visible=wanted), gr.Accordion(visible=True, open=True)]
    return [*parts, *[_job(request)] * 3]


def _other(request: gr.Request) -> str:
    return _job(request) + "-other"


@pytest.fixture(scope="module")
def site(workspace: Workspace) -> Iterator[str]:
    services = Services(workspace)
    with served(services, build(services)) as url:
        yield url


@pytest.fixture
def address(site: str, run: Run) -> str:
    return f"{site}/?job={run.job.id}"


def steps(page: Any, chart: str = "first") -> dict[str, list[int]]:
    found: dict[str, list[int]] = page.evaluate(POINTS, chart)
    return found


def sees(page: Any, count: int, chart: str = "first") -> None:
    """Wait until the loss has that many points; they must be steps 1 to that, each once."""
    wait_until(lambda: len(steps(page, chart).get("loss", [])) >= count, f"{count} points")
    found = steps(page, chart)
    whole = list(range(1, count + 1))
    assert found["loss"] == found["learning_rate"] == found["grad_norm"] == whole
    assert found["dev"] == [step for step in whole if step % 20 == 0]


def falls_silent(page: Any) -> None:
    """Wait for seconds in which nothing is asked: a page that went on asking would not have any.
    What was on its way before is no matter, however long a busy machine takes for it."""

    def silent() -> bool:
        asked = page.evaluate(ASKED)
        page.wait_for_timeout(2500)
        return bool(page.evaluate(ASKED) == asked)

    wait_until(silent, "the page to ask no more")


def text(page: Any, selector: str) -> str:
    return str(page.locator(selector).inner_text())


def test_it_extends_keeps_the_zoom_and_shows_the_same_after_a_reload(
    page: Any, address: str, run: Run
) -> None:
    page.goto(address)
    run.train(25)
    sees(page, 25)
    div = "document.querySelector('#first .rw-live-plot')"
    page.evaluate(f"Plotly.relayout({div}, {{'xaxis.range': [10, 20]}})")
    page.evaluate(f"{div}.querySelector('.main-svg').mark = 'kept'")
    nodes = page.evaluate("document.querySelectorAll('*').length")
    for _ in range(3):
        run.train(7)
        sees(page, run.step)
    sees(page, run.step, "second")
    assert page.evaluate(f"{div}.querySelector('.main-svg').mark") == "kept"
    assert page.evaluate(f"{div}.layout.xaxis.range") == [10, 20]
    # A few axis labels may come and go; a chart drawn anew beside the old one has hundreds.
    assert page.evaluate("document.querySelectorAll('*').length") < nodes + 100
    # The badges are filled by their own, slower question.
    wait_until(lambda: "step 46 of 400" in text(page, "#first .rw-live-badges"), "the last step")
    assert "running" in text(page, "#first .rw-live-badges")
    page.reload()
    sees(page, run.step)
    label = page.locator("#first .rw-live-plot").first.get_attribute("aria-label")
    assert label.startswith("Loss, 46 points, last value")
    assert "original model 0.589" in text(page, "#first figure:nth-child(2)")


def test_nothing_is_asked_out_of_sight_or_when_all_is_there_and_an_end_is_noticed(
    page: Any, address: str, run: Run
) -> None:
    page.goto(address)
    run.train(10)
    sees(page, 10)
    page.get_by_role("tab", name="Other").click()
    run.train(5)
    falls_silent(page)
    run.end(JobStatus.FAILED, "The loss became NaN.")
    toast = page.locator(".rw-notices > div")
    toast.wait_for()
    assert toast.locator("span").inner_text() == "tea <b>& cake</b> failed."
    page.get_by_role("tab", name="Run").click()
    sees(page, 15)
    page.locator("#first .rw-live-note.bad").wait_for()
    assert text(page, "#first .rw-live-note") == "The loss became NaN."
    sees(page, 15, "second")
    falls_silent(page)


def test_a_resumed_run_takes_back_what_was_forgotten(page: Any, address: str, run: Run) -> None:
    page.goto(address)
    run.train(30)
    sees(page, 30)
    run.end(JobStatus.INTERRUPTED)
    page.locator("#first .rw-badge", has_text="interrupted").wait_for()
    run.store.queue.requeue(run.job.id)
    run.start()
    run.forget_after(20)
    run.train(2)
    wait_until(lambda: len(steps(page)["loss"]) == 22, "the forgotten points to go")
    sees(page, 22)


def test_a_resumed_run_with_many_points_is_read_to_its_end(
    page: Any, address: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its first answers end with rows of the first attempt, later ones with the second's."""
    monkeypatch.setattr(live, "MOST_ROWS", 7)
    run.train(20)
    run.end(JobStatus.INTERRUPTED)
    run.store.queue.requeue(run.job.id)
    run.start()
    run.forget_after(15)
    run.train(20)
    run.end()
    page.goto(address)
    sees(page, 35)
    falls_silent(page)
    # Seven rows an answer, and no row twice.
    assert page.evaluate(ASKED) <= 2 * (run.store.metrics.count(run.job.id) // 7 + 2)


def test_it_turns_to_another_run(page: Any, address: str, run: Run, workspace: Workspace) -> None:
    other = Run(workspace, name="other", id=f"{run.job.id}-other")
    other.start()
    other.train(12)
    run.train(33)
    page.goto(address)
    sees(page, 33)
    page.get_by_role("button", name="Turn").click()
    wait_until(lambda: len(steps(page).get("loss", [])) == 12, "the other run")
    sees(page, 12)
    sees(page, 33, "second")


def test_it_goes_on_after_the_app_was_away(page: Any, workspace: Workspace, run: Run) -> None:
    services = Services(workspace)
    with served(services, build(services)) as url:
        page.goto(f"{url}/?job={run.job.id}")
        run.train(8)
        sees(page, 8)
    run.train(8)
    page.locator("#first .rw-live-alarm", has_text="retrying").wait_for()
    with served(services, build(services), port=int(url.rpartition(":")[2])):
        sees(page, 16)
        run.train(4)
        sees(page, 20)
        alarm = page.locator("#first .rw-live-alarm")
        wait_until(lambda: not alarm.is_visible(), "the alarm to go")


def test_what_is_drawn_again_listens_once(page: Any, address: str, run: Run) -> None:
    page.add_init_script(COUNTED)
    page.goto(address)
    run.train(3)
    sees(page, 3)
    page.get_by_role("tab", name="Other").click()
    switch = page.get_by_label("Drawn")

    def listening(drawn: bool) -> dict[str, int]:
        switch.set_checked(drawn)
        page.locator("#search-blind").wait_for(state="visible" if drawn else "detached")
        page.locator("#third .rw-live").wait_for(state="attached" if drawn else "detached")
        return dict(page.evaluate("() => window.listening()"))

    first = listening(True)
    assert first["workbench:changes"] and first["pointerover"] and first["keydown"]
    for _ in range(8):
        listening(False)
        listening(True)

    def settled() -> bool:
        """A timer that finds its element gone ends itself, at its next second; one that the first
        look came too early for may be there now. What piles up would be eight more."""
        counts = page.evaluate("() => window.listening()")
        return all(counts[name] < first[name] + 4 for name in first)

    wait_until(settled, f"hardly more than {first}")


def test_the_log_is_text_and_grows(page: Any, address: str, run: Run, workspace: Workspace) -> None:
    log = workspace.jobs.folder(run.job.id) / "log.txt"
    log.parent.mkdir(parents=True)
    log.write_text("<script>window.bad = 1</script><img src=x onerror='window.bad = 1'>\n")
    page.goto(address)
    shown = page.locator("#log pre")
    shown.get_by_text("onerror").wait_for()
    with log.open("a") as file:
        file.write("step 1\n" * 100)
    wait_until(lambda: shown.inner_text().count("step 1") == 100, "the log to grow")
    at_end = "e => e.scrollTop + e.clientHeight >= e.scrollHeight - 2"
    assert shown.evaluate(at_end)
    shown.evaluate("e => { e.scrollTop = 0 }")
    with log.open("a") as file:
        file.write("last\n")
    wait_until(lambda: "last" in shown.inner_text(), "the last line")
    assert shown.evaluate("e => e.scrollTop") == 0
    assert page.evaluate("window.bad") is None
    assert shown.locator("script, img").count() == 0


def test_dark_and_narrow(page: Any, address: str, run: Run) -> None:
    run.train(40)
    page.goto(address)
    sees(page, 40)
    div = "document.querySelector('#first .rw-live-plot')"
    light = page.evaluate(f"{div}.data[1].line.color")
    page.evaluate("document.body.classList.add('dark')")
    wait_until(lambda: page.evaluate(f"{div}.data[1].line.color") != light, "the dark colours")
    page.set_viewport_size({"width": 400, "height": 900})
    wait_until(lambda: page.evaluate(f"{div}._fullLayout.width") < 400, "the chart to shrink")
    assert page.evaluate("document.documentElement.scrollWidth") <= 400


def test_ten_pages_of_one_browser_stay_responsive(browser: Any, address: str, run: Run) -> None:
    context = browser.new_context()
    pages = [context.new_page() for _ in range(10)]
    for number, one in enumerate(pages):
        one.goto(address)
        run.train(number + 1)
    for one in pages:
        one.bring_to_front()
        sees(one, run.step)
        one.get_by_role("tab", name="Other").click()
        one.get_by_text("elsewhere").wait_for()
        one.get_by_role("tab", name="Run").click()
    context.close()
