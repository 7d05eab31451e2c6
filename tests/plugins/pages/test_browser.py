"""The pages in a real browser, inside Airflow's UI: links, filters, keyboard, narrow screens, light and dark."""

from collections.abc import Callable, Iterator
from datetime import date
from typing import TYPE_CHECKING

import pytest

from tests.local.support import poll
from tests.plugins.pages import example
from tests.plugins.pages.server import Server

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.stack

DAY = "/days/digits/2026-03-12"
STUDY = "/studies/digits-scheduled__2026-03-10T01-00-00-00-00"
PAGES = ["/", "/models/digits", "/models/digits/versions/4", "/studies", STUDY, "/days", "/days/digits", DAY]
PAGES += [f"{DAY}/quarantine", f"{DAY}/comparison/digits-challenger"]

Open = Callable[..., "Page"]


@pytest.fixture
def open_page(server: Server, browser: "Browser") -> Iterator[Open]:
    """Opens a page as a user; afterwards nothing may have gone wrong in the browser, or been asked for elsewhere."""
    contexts, wrong = [], []

    def opened(path: str, user: str = "viewer", width: int = 1280, theme: str = "light", gone: bool = False) -> "Page":
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)
        context.set_default_timeout(60_000)
        contexts.append(context)
        context.add_cookies([{"name": "_token", "value": server.token(user), "url": server.url}])
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        if path.startswith("/atoll") and not gone:  # Chromium tells of each picture that is
            page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
            page.on("request", lambda one: wrong.append(one.url) if not one.url.startswith(server.url) else None)
        page.goto(server.url + path)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert wrong == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_page_scrolls_sideways_on_a_phone(open_page: Open, server: Server, theme: str) -> None:
    page = open_page("/atoll/", width=400, theme=theme)
    for path in PAGES:
        page.goto(f"{server.url}/atoll{path}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 400, path


def test_light_and_dark_follow_the_browser(open_page: Open) -> None:
    grounds = [
        open_page("/atoll/", theme=theme).evaluate("getComputedStyle(document.body).backgroundColor")
        for theme in ("light", "dark")
    ]
    assert grounds == ["rgb(255, 255, 255)", "rgb(17, 17, 19)"]


def test_models_stands_in_airflows_navigation_and_leads_from_a_label_to_its_model(
    open_page: Open, server: Server
) -> None:
    page = open_page("/")
    page.goto(f"{server.url}/plugin/models")
    frame = page.frame_locator("iframe")
    frame.get_by_role("link", name="Labelled days").click()
    frame.get_by_role("link", name="2026-03-12").first.click()  # of digits; its variant has that day, too
    frame.locator(".gallery a").first.click()
    frame.get_by_role("link", name="digits version 4").click()
    frame.get_by_role("heading", name="digits version 4").wait_for()
    assert "Only this one right" in frame.locator("main").inner_text()


def test_an_editor_rolls_back_inside_airflow_and_sees_what_becomes_of_it(open_page: Open, server: Server) -> None:
    page = open_page("/plugin/models", user="editor")
    frame = page.frame_locator("iframe")
    frame.get_by_role("link", name="digits").click()
    frame.get_by_label("Version").select_option("3")
    frame.get_by_label("Why").fill("takes a 3 for an 8")
    frame.get_by_role("button", name="Make it champion").click()
    note = frame.locator(".note")
    note.wait_for()
    assert "The rollback to version 3" in note.inner_text()
    note.get_by_role("link", name="Its run in Airflow").click()
    page.wait_for_url("**/dags/roll_back_model/runs/*")


def test_a_filter_works_as_soon_as_it_is_chosen(open_page: Open) -> None:
    page = open_page(f"/atoll{DAY}")
    page.locator("select[name=label]").select_option("7")
    page.wait_for_url("**label=7**")
    assert set(page.locator(".gallery strong").all_inner_texts()) == {"7"}
    picture = page.locator(".gallery img").first
    poll(lambda: picture.evaluate("one => one.naturalWidth") == 8)


def test_arrow_keys_turn_the_gallerys_pages(open_page: Open) -> None:
    page = open_page(f"/atoll{DAY}")
    page.keyboard.press("ArrowRight")
    page.wait_for_url("**page=2**")
    page.keyboard.press("ArrowLeft")
    page.wait_for_url(lambda url: "page=" not in url)


def test_a_chart_answers_to_the_pointer_and_to_the_keyboard(open_page: Open) -> None:
    page = open_page(f"/atoll{STUDY}")
    chart = page.locator("[data-chart=error]")
    chart.locator("circle.best").hover()
    assert "% error" in page.locator(".tip").inner_text()
    assert page.locator("tr.lit").count() == 1
    page.mouse.move(1, 1)
    chart.focus()
    page.keyboard.press("ArrowRight")
    assert "% error" in page.locator(".tip").inner_text()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id").startswith("trial-")


def test_the_first_key_skips_to_the_content(open_page: Open) -> None:
    page = open_page("/atoll/")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"


def test_a_table_sorts_by_the_head_that_is_chosen(open_page: Open) -> None:
    page = open_page(f"/atoll{STUDY}")
    page.get_by_role("columnheader", name="Error").get_by_role("button").click()
    page.get_by_role("columnheader", name="Error").get_by_role("button").click()
    cells = page.locator("table[data-sort] tbody tr td:nth-child(3)").all_inner_texts()
    errors = [float(text.split()[0]) for text in cells if text[0].isdigit()]
    assert errors == sorted(errors, reverse=True)
    assert len(errors) > 20


def test_the_page_of_a_study_that_runs_shows_new_trials_by_itself(open_page: Open, server: Server) -> None:
    dataset = example.prepare(example.EXPERIMENT, server.workspace)
    trials = [example.outcome(number) for number in range(5)]
    example.add_study(server.workspace, "digits-live", trials[:2], dataset)
    page = open_page("/atoll/studies/digits-live")
    assert page.locator("tr[id^=trial-]").count() == 2
    example.add_study(server.workspace, "digits-live", trials, dataset)
    page.locator("#trial-4").wait_for()
    assert page.locator("tr[id^=trial-]").count() == 5


def test_an_image_that_is_gone_leaves_its_label(open_page: Open, server: Server) -> None:
    folder = server.workspace.image_set("digits", date(2026, 3, 2))
    for path in folder.iterdir():
        path.unlink()
    page = open_page("/atoll/days/digits/2026-03-02", gone=True)
    page.get_by_text("no preview").first.wait_for()
    assert page.locator(".gallery strong").count() == 60
