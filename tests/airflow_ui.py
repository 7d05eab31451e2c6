"""Airflow's own dialogs in a real browser, filled in as a person does."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page


@contextmanager
def logged_in(browser: "Browser", url: str, token: str) -> Iterator["Page"]:
    """Opens a page of Airflow's UI as the person whose token it is."""
    context = browser.new_context(viewport={"width": 1400, "height": 1400})
    context.set_default_timeout(60_000)
    context.add_cookies([{"name": "_token", "value": token, "url": url}])
    try:
        yield context.new_page()
    finally:
        context.close()


def open_form(page: "Page", url: str, dag: str) -> "Locator":
    """Opens the trigger dialog of a DAG."""
    page.goto(f"{url}/dags/{dag}")
    page.get_by_test_id("trigger-dag-button").first.click()
    page.get_by_test_id("config-form").wait_for()
    return page.locator("[role=dialog][aria-modal=true]")


def fill(page: "Page", dialog: "Locator", section: str, values: Mapping[str, str | bool]) -> None:
    """Opens a section of the form and fills in its fields: text and numbers are typed, choices taken by their words."""
    heading = dialog.get_by_role("button", name=section, exact=True)
    if heading.get_attribute("aria-expanded") != "true":
        heading.click()
    for name, value in values.items():
        field = dialog.locator(f"input[name=element_{name}]")
        field.wait_for(state="attached")
        if isinstance(value, bool):
            dialog.locator("label").filter(has=page.locator(f"input[name=element_{name}]")).click()
        elif field.get_attribute("type") == "hidden":
            dialog.locator(f"#element_{name}").click()
            page.get_by_role("option", name=value, exact=True).click()
        else:
            field.fill(value)


def submit_run(page: "Page", dialog: "Locator") -> None:
    """Sends the form of a single run, and waits until the server has taken it."""
    with page.expect_response(lambda one: one.url.endswith("/dagRuns") and one.request.method == "POST") as answer:
        dialog.get_by_test_id("trigger-dag-submit").click()
    assert answer.value.ok, answer.value.text()


def choose_backfill(dialog: "Locator") -> None:
    """Turns the dialog to a backfill, whose form is sent only with the choice to override what runs have."""
    dialog.get_by_text("Backfill", exact=True).click()
    dialog.get_by_text("Override parameters on existing runs").click()


def create_backfill(page: "Page", dialog: "Locator", first: date, last: date, runs: int, reprocess: str) -> None:
    """Fills in the rest of the dialog for a backfill whose parameters stand in the form already, and sends it."""
    for place, day in enumerate((first, last)):
        opened = dialog.get_by_test_id("datetime-input").nth(place)
        opened.click()
        page.get_by_placeholder("YYYY/MM/DD").fill(f"{day:%Y/%m/%d}")
        opened.click()
        page.get_by_placeholder("YYYY/MM/DD").wait_for(state="detached")
    dialog.get_by_text(reprocess, exact=True).click()
    dialog.locator("input[name=max_active_runs]").fill(str(runs))
    with page.expect_response(lambda one: one.url.endswith("/backfills") and one.request.method == "POST") as answer:
        dialog.get_by_role("button", name="Run Backfill").click()
    assert answer.value.ok, answer.value.text()
