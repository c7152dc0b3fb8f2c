"""The whole page while a run goes on: ten of it at once, after a restart, dark and light."""

import secrets
from collections.abc import Iterator
from typing import Any

import gradio as gr
import pytest
from playwright.sync_api import Error

from storage.records import JobStatus
from tests.browser.app import PATIENCE
from tests.ui.serving import Run, served, wait_until
from ui.main import build
from ui.services import Services
from workbench.workspace import Workspace

# A real browser with the whole page: half a minute.
pytestmark = pytest.mark.slow

LOSS = "() => document.querySelector('#train-chart .rw-live-plot')?.data?.[0].x.length ?? 0"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    opened = Workspace.open(tmp_path_factory.mktemp("pages") / "home")
    yield opened
    opened.close()


@pytest.fixture
def run(workspace: Workspace) -> Run:
    made = Run(workspace, name="tea", id=secrets.token_hex(5))
    made.start()
    made.baseline()
    made.train(10)
    return made


def open_tab(page: Any, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).first.click()


def sees(page: Any, steps: int) -> None:
    wait_until(lambda: page.evaluate(LOSS) == steps, f"{steps} steps on the chart")


def sees_again(page: Any, steps: int) -> None:
    """After a restart. A page whose question met no server is loaded anew by Gradio as soon as
    there is one; it begins at the first tab then, and the run is still the one that was shown."""

    def looks() -> bool:
        try:
            start = page.get_by_role("tab", name="Start", exact=True).first
            if start.get_attribute("aria-selected", timeout=5_000) == "true":
                open_tab(page, "Train")
            return bool(page.evaluate(LOSS) == steps)
        except Error as error:
            print(f"the page is on its way: {error.message.splitlines()[0]}")
            return False

    wait_until(looks, f"{steps} steps on the chart")


# Ten whole pages; test_live.py has ten small ones.
@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_ten_pages_of_one_browser_stay_responsive(
    browser: Any, workspace: Workspace, run: Run
) -> None:
    services = Services(workspace)
    context = browser.new_context(viewport={"width": 1100, "height": 800})
    context.set_default_timeout(PATIENCE)
    with served(services, build(services)) as url:
        pages = [context.new_page() for _ in range(10)]
        for page in pages:
            page.goto(url)
            open_tab(page, "Train")
        for page in pages:
            page.bring_to_front()
            run.train(3)
            sees(page, run.step)
            open_tab(page, "Jobs")
            page.locator("#jobs-list .rw-pick", has_text="tea").first.wait_for()
            open_tab(page, "Train")
    context.close()


def test_an_open_page_goes_on_after_the_app_was_restarted(
    browser: Any, workspace: Workspace, run: Run
) -> None:
    services = Services(workspace)
    context = browser.new_context()
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    with served(services, build(services)) as url:
        page.goto(url)
        open_tab(page, "Train")
        sees(page, 10)
    run.train(5)
    with served(services, build(services), port=int(url.rpartition(":")[2])):
        sees_again(page, 15)
        # Menus, too: what they were filled with before the restart is still good.
        open_tab(page, "Models")
        open_tab(page, "Train")
        page.get_by_role("button", name="Start training", exact=True).click()
        toast = page.locator("[data-testid=toast-body]").first
        toast.wait_for()
        assert "list of choices" not in toast.inner_text()
    context.close()


def test_a_bad_value_speaks_at_its_field(browser: Any, workspace: Workspace) -> None:
    services = Services(workspace)
    page = browser.new_page()
    page.set_default_timeout(PATIENCE)
    with served(services, build(services)) as url:
        page.goto(url)
        open_tab(page, "Train")
        epochs = page.locator("#field-epochs").locator("input, textarea").first
        epochs.fill("-1")
        page.get_by_role("button", name="Start training", exact=True).click()
        page.locator("#field-epochs", has_text="greater than 0").wait_for()
        page.locator("[data-testid=toast-body]", has_text="Epochs").wait_for()
        page.wait_for_timeout(4000)  # the page looks after its jobs meanwhile
        assert "greater than 0" in page.locator("#field-epochs").inner_text()
        epochs.fill("1")
        page.get_by_role("button", name="Start training", exact=True).click()
        page.locator("#field-epochs", has_text="greater than 0").wait_for(state="detached")
        assert workspace.jobs.list(task="train-embedding", status=JobStatus.QUEUED) == []
    page.close()


def small() -> gr.Blocks:
    """A page of one line, which the app themes and serves like the whole one."""
    with gr.Blocks() as blocks:
        gr.Markdown("# Small")
    return blocks


def test_both_themes_follow_the_system(browser: Any, workspace: Workspace) -> None:
    dark = "document.body.classList.contains('dark')"
    with served(Services(workspace), small()) as url:
        for scheme, asked in (("dark", ""), ("light", ""), ("light", "/?__theme=dark")):
            context = browser.new_context(color_scheme=scheme)
            page = context.new_page()
            page.set_default_timeout(PATIENCE)
            page.goto(url + asked)
            page.locator("h1").wait_for()
            wanted = bool(asked) or scheme == "dark"
            wait_until(lambda: page.evaluate(dark) is wanted, f"{scheme} {asked}")  # noqa: B023
            context.close()


#: Counts the frames that are asked for.
FRAMES = """window.frames_asked = 0;
const draw = window.requestAnimationFrame.bind(window);
window.requestAnimationFrame = turn => { window.frames_asked += 1; return draw(turn); };"""


def test_a_page_at_rest_draws_nothing(page: Any, workspace: Workspace) -> None:
    """Gradio's clock of a page that loads went on, frame by frame, once the page was there."""
    page.add_init_script(FRAMES)
    with served(Services(workspace), small()) as url:
        page.goto(url)
        page.locator("h1").wait_for()

        def rests() -> bool:
            asked = page.evaluate("window.frames_asked")
            page.wait_for_timeout(500)
            return bool(page.evaluate("window.frames_asked") == asked > 0)

        wait_until(rests, "the page to rest")
        page.goto("about:blank")
