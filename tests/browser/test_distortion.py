"""A natural distortion, from the form to the report: both bounds meet, and nothing is said of flows."""

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.steps import CLASSIFIER, PATIENCE, log_in, photograph, upload
from tests.factories import make_video_file
from tests.server import RealServer


def test_a_distortion_is_chosen_with_its_argument_and_hides_what_is_about_flows(
    page: Page, server: RealServer, tmp_path: Path
) -> None:
    log_in(page, server)
    upload(page, server, "video", make_video_file(tmp_path / "pan.avi", frames=24, size=(96, 128)))
    upload(page, server, "classifier", CLASSIFIER)
    page.goto(server.url + "/verifications/new/")
    expect(page.get_by_label("Flows")).to_be_visible()
    said = page.get_by_label("What is different about occlusion", exact=True)
    expect(said).to_be_hidden()

    page.get_by_role("radio", name="Occlusion A rectangle").check()
    expect(said).to_be_visible()
    expect(page.get_by_label("Flows")).to_be_hidden()
    expect(page.get_by_text("How optical flow is extracted")).to_be_hidden()
    photograph(page, "distortion-form")
    said.fill("size=99x1")
    page.get_by_role("button", name="Start").click()

    expect(page.locator(".field-error")).to_contain_text("from above 0x0 to 64x64 pixels, not 99x1")
    expect(said).to_have_value("size=99x1")
    page.get_by_role("radio", name="Several at once").check()
    expect(page.get_by_label("What is added up")).to_have_value("brightness+contrast")
    expect(said).to_be_hidden()


def test_both_bounds_of_the_brightness_meet(page: Page, server: RealServer) -> None:
    log_in(page, server)
    page.goto(server.url + "/verifications/new/")
    page.locator("input[name=space][value=brightness]").check()
    page.get_by_label("Budget, s").fill("300")
    page.get_by_role("button", name="Start").click()

    expect(page.locator("[data-figure=lower].proven")).to_contain_text("pixel value", timeout=PATIENCE)
    expect(page.locator(".pill")).to_have_text("Converged", timeout=PATIENCE)
    photograph(page, "distortion-live")
    figures = page.locator(".figures")
    expect(figures).to_contain_text(re.compile(r"sound proof\s+[\d.]+ grey levels"))
    expect(figures).not_to_contain_text("px")
    expect(figures).not_to_contain_text("L2")
    expect(page.locator("[data-figure=grey-levels]")).to_contain_text("grey levels away from this one in L2")
    cells = page.get_by_label("The game", exact=True)
    expect(cells).to_contain_text("Proven up to the target")
    expect(cells.locator(".bars")).to_have_count(0)
    expect(page.get_by_label("The example")).to_contain_text(re.compile(r"brightness\s+[+−][\d.]+"))
    expect(page.get_by_alt_text("Difference, frame 1", exact=True)).to_be_visible()

    page.get_by_role("link", name="Report").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("grey levels); the class changes at")
    expect(page.locator(".report-summary")).to_contain_text("Every change of the brightness by at most")
    photograph(page, "distortion-report")
    page.goto(server.url + "/")
    expect(page.locator("td.number").first).to_contain_text("grey levels")
    photograph(page, "distortion-list")
