"""What the pages show, and that nothing but what they show can be read through them."""

import html
import re

import httpx
import pytest

from jobs.datasets.dataset import open_dataset
from jobs.registry.catalogue import registered_model
from jobs.results import LabelledImageSet
from tests.plugins.pages import example
from tests.plugins.pages.server import Server

pytestmark = pytest.mark.stack

DAY = "/days/digits/2026-03-12"
STUDY = "digits-scheduled__2026-03-10T01-00-00-00-00"


@pytest.fixture(scope="module")
def viewer(server: Server) -> httpx.Client:
    return server.visitor("viewer")


def text_of(answer: httpx.Response) -> str:
    """What a reader sees, in one line."""
    assert answer.status_code == 200, answer.text
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


def images_in(answer: httpx.Response) -> list[str]:
    return re.findall(r'<span class="name" title="([^"]+)"', answer.text)


def test_the_models_page_tells_each_champion(viewer: httpx.Client) -> None:
    assert "version 4 champion" in text_of(viewer.get("/"))


def test_a_models_page_has_its_versions_with_the_gates_verdict_and_the_history(viewer: httpx.Client) -> None:
    shown = text_of(viewer.get("/models/digits"))
    assert "not better" in shown
    assert "tune_model scheduled__2026-03-10T01-00-00-00-00 better than the champion: right where" in shown
    assert (
        shown.index("2026-03-10 02:00 4 2") < shown.index("2026-03-04 02:00 2 1") < shown.index("2026-03-01 02:00 1 ")
    )


@pytest.mark.parametrize(("version", "verdict"), [(1, "passed"), (3, "not better"), (4, "passed")])
def test_a_versions_page_has_the_gates_decision_with_p_value_and_reason(
    server: Server, viewer: httpx.Client, version: int, verdict: str
) -> None:
    decision = registered_model("digits", server.workspace).version(version).decision
    assert decision is not None
    shown = text_of(viewer.get(f"/models/digits/versions/{version}"))
    assert f"The gate {verdict}" in shown
    assert decision.reason[1:] in shown
    if decision.p_value is not None:
        assert f"p-value {decision.p_value:.3g} , needed: below 0.05" in shown


def test_a_versions_page_leads_to_its_study_its_data_set_and_its_days(server: Server, viewer: httpx.Client) -> None:
    answer = viewer.get("/models/digits/versions/4")
    version = registered_model("digits", server.workspace).version(4)
    assert f'href="/atoll/studies/{STUDY}"' in answer.text
    assert [f"/atoll/days/digits/2026-03-{day}" in answer.text for day in ("09", "10", "11", "12")] == [
        False,
        True,
        True,
        True,
    ]
    shown = text_of(answer)
    assert version.dataset_fingerprint in shown
    assert version.graph_sha256 in shown
    manifest = open_dataset(server.workspace.dataset("digits", version.dataset_fingerprint))
    assert f"{manifest.counts['train']:,} train".replace(",", " ") in shown
    assert f"{manifest.counts['test']} test" in shown


def test_which_model_gave_this_label_takes_two_clicks(viewer: httpx.Client) -> None:
    gallery = viewer.get(DAY).text
    image = html.unescape(re.findall(r'href="/atoll(/days/digits/2026-03-12/image[^"]+)"', gallery)[0])
    version = re.findall(r'href="/atoll(/models/[^"]+)"', viewer.get(image).text)
    assert version == ["/models/digits/versions/4"]
    assert "digits version 4 champion" in text_of(viewer.get(version[0]))


def test_a_study_has_its_leaderboard_and_its_charts(viewer: httpx.Client) -> None:
    answer = viewer.get(f"/studies/{STUDY}")
    charts = re.findall(r'data-chart="(\w+)"', answer.text)
    assert charts == ["error", "curves", "parallel", "executors", "importance"]
    assert answer.text.count('<tr id="trial-') == 30
    assert "diverged: the loss is nan in epoch 1" in answer.text
    assert "data-live" not in answer.text


def test_the_page_of_a_study_that_runs_follows_it(server: Server, viewer: httpx.Client) -> None:
    dataset = example.prepare(example.EXPERIMENT, server.workspace)
    for trials in (2, 5):
        example.add_study(
            server.workspace, "digits-now", [example.outcome(number) for number in range(trials)], dataset
        )
        answer = viewer.get("/studies/digits-now")
        assert 'data-live="5' in answer.text
        assert answer.text.count('<tr id="trial-') == trials


def test_the_gallery_comes_in_pages_that_hold_each_image_once(viewer: httpx.Client) -> None:
    pages = [images_in(viewer.get(DAY, params={"page": number})) for number in (1, 2, 3)]
    assert [len(page) for page in pages] == [60, 60, 35]
    assert len({name for page in pages for name in page}) == 155
    assert images_in(viewer.get(DAY, params={"page": 999})) == pages[2]


def test_two_models_are_compared_on_the_same_day_where_they_disagree_first(viewer: httpx.Client) -> None:
    address = f"{DAY}/comparison/digits-challenger"
    assert f'href="/atoll{address}"' in viewer.get(DAY).text
    answer = viewer.get(address)
    shown = text_of(answer)
    assert "155 images that both labelled 18 different labels 11.6 %" in shown
    assert "digits-challenger digits 3" in shown
    cards = re.findall(r"<strong>(\d)</strong>", answer.text)
    assert len(cards) == 2 * 18
    assert all((int(one) + 3) % 10 == int(other) for one, other in zip(cards[::2], cards[1::2], strict=True))
    everything = re.findall(r"<strong>(\d)</strong>", viewer.get(address, params={"shown": "all"}).text)
    assert everything[:36] == cards
    assert len(everything) == 2 * 60
    one_change = viewer.get(address, params={"label": cards[0], "other_label": cards[1]})
    assert set(re.findall(r"<strong>(\d)</strong>", one_change.text)) == {cards[0], cards[1]}


def test_the_pictures_of_a_variant_are_those_of_its_image_set(viewer: httpx.Client) -> None:
    name = images_in(viewer.get("/days/digits-challenger/2026-03-12"))[0]
    picture = viewer.get("/days/digits-challenger/2026-03-12/thumbnail", params={"name": name})
    assert picture.headers["content-type"].startswith("image/")


def test_the_gallery_is_filtered_by_label_and_by_score(viewer: httpx.Client) -> None:
    answer = viewer.get(DAY, params={"label": "3", "lowest": "0.9", "order": "most"})
    cards = re.findall(r"<strong>(\w+)</strong><span class=\"score\">([\d.]+) %", answer.text)
    assert cards
    assert {label for label, _ in cards} == {"3"}
    scores = [float(score) for _, score in cards]
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] >= 90
    assert "No image fits" in viewer.get(DAY, params={"label": "eagle"}).text
    assert images_in(viewer.get(DAY, params={"lowest": "", "highest": ""})) == images_in(viewer.get(DAY))
    assert viewer.get(DAY, params={"lowest": "much"}).status_code == 422


def test_an_image_has_its_best_labels(viewer: httpx.Client) -> None:
    name = images_in(viewer.get(DAY))[0]
    answer = viewer.get(f"{DAY}/image", params={"name": name})
    scores = re.search(r'<ol class="scores">(.*?)</ol>', answer.text, re.DOTALL)
    assert scores
    assert scores[1].count("<li>") == 5


def test_the_quarantine_has_its_reasons(viewer: httpx.Client) -> None:
    every, empty = (text_of(viewer.get(f"{DAY}/quarantine", params={"reason": reason})) for reason in ("", "empty"))
    assert "damaged-00.png unreadable" in every
    assert "damaged-01.png empty" in every
    assert "damaged-00.png" not in empty
    assert "damaged-01.png empty" in empty


def test_the_trends_have_a_row_and_a_point_for_each_day(viewer: httpx.Client) -> None:
    answer = viewer.get("/days/digits")
    assert re.findall(r'data-chart="(\w+)"', answer.text) == ["images", "certainty", "shares"]
    assert answer.text.count('<tr data-key="day-') == 12
    assert answer.text.count('<circle class="mark c1" ') >= 6, "the second model has a colour of its own"
    assert 'data-href="/atoll/days/digits/2026-03-12"' in answer.text


def test_airflows_pages_of_a_dag_and_of_a_run_lead_to_what_they_are_about(server: Server, viewer: httpx.Client) -> None:
    def target(path: str) -> str:
        return viewer.get(path).headers["location"].removeprefix("/atoll")

    assert [target(f"/dags/{dag}") for dag in ("tune_model", "label_images", "housekeeping")] == [
        "/studies",
        "/days",
        "/",
    ]
    assert target("/dags/tune_model/runs/scheduled__2026-03-10T01:00:00+00:00") == f"/studies/{STUDY}"
    assert "no study yet" in viewer.get("/dags/tune_model/runs/manual__other").text
    run = server.workspace.run("label_images", "manual__now", "label_images")
    run.mkdir(parents=True)
    folder = server.workspace.labels("digits", example.BEGAN.date())
    LabelledImageSet(
        model_name="digits", model_version=1, graph_sha256="ab", images=1, labelled=1, quarantined=0, reasons={},
        labels=str(folder), quarantine="", seconds=1,
    ).write(run / "result.json")  # fmt: skip
    assert target("/dags/label_images/runs/manual__now") == "/days/digits/2026-03-01"
    assert "labelled nothing yet" in viewer.get("/dags/label_images/runs/manual__other").text


def test_a_thumbnail_is_of_a_labelled_image_only(server: Server, viewer: httpx.Client) -> None:
    name = images_in(viewer.get(DAY))[0]
    answer = viewer.get(f"{DAY}/thumbnail", params={"name": name})
    assert answer.status_code == 200
    assert answer.headers["content-type"] in ("image/png", "image/jpeg")
    assert answer.headers["x-content-type-options"] == "nosniff"
    secret = server.workspace.image_set("digits", example.BEGAN.date()).with_name("secret.png")
    secret.write_bytes(b"\x89PNG secret")
    for other in ("damaged-00.png", "../secret.png", str(secret), "/etc/passwd", "", "..", f"../ds=2026-03-12/{name}"):
        refused = viewer.get(f"{DAY}/thumbnail", params={"name": other})
        assert refused.status_code in (404, 422), other
        assert "secret.png" not in refused.text or "no labelled image" in refused.text


def test_a_labelled_image_that_was_replaced_by_a_link_is_not_followed(server: Server, viewer: httpx.Client) -> None:
    folder = server.workspace.image_set("digits", example.BEGAN.date())
    name = images_in(viewer.get("/days/digits/2026-03-01"))[-1]
    outside = folder.parent / "outside.png"
    (folder / name).rename(outside)
    (folder / name).symlink_to(outside)
    assert viewer.get("/days/digits/2026-03-01/thumbnail", params={"name": name}).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/days/..%2f..%2fetc/2026-03-12",
        "/days/%2e%2e/2026-03-12",
        "/days/.hidden/2026-03-12",
        "/days/digits/2026-03-12%2f..",
        "/days/digits/2026-13-45",
        "/studies/..%2f..%2fetc",
        "/studies/%2e%2e",
        "/models/..%2f../versions/1",
        "/models/digits/versions/0",
        "/static/..%2fapp.py",
        "/static/%2e%2e/app.py",
        "/dags/label_images/runs/..%2f..%2f..%2fetc%2fpasswd/x",
    ],
)
def test_no_path_leads_out_of_the_workspace(viewer: httpx.Client, path: str) -> None:
    answer = viewer.get(path)
    assert answer.status_code in (404, 422) or "labelled nothing yet" in answer.text
    assert "root:" not in answer.text
    assert "import " not in answer.text


def test_a_name_that_looks_like_html_is_shown_as_text(viewer: httpx.Client) -> None:
    answer = viewer.get(DAY, params={"text": '"><script>alert(1)</script>'})
    assert "<script>alert" not in answer.text
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]


def test_no_page_asks_for_anything_from_elsewhere(viewer: httpx.Client) -> None:
    for path in ("/", "/models/digits", f"/studies/{STUDY}", "/days/digits", DAY):
        assert re.findall(r'(?:src|href|action)="(?!/atoll/|#)[^"]*"', viewer.get(path).text) == []
