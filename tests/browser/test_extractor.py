"""Choosing how optical flow is extracted: parameters appear with their extractor; live page and report say which it was."""

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.steps import CLASSIFIER, PATIENCE, log_in, photograph, upload
from tests.factories import make_video_file
from tests.server import RealServer


def test_an_extractor_with_parameters(page: Page, server: RealServer, tmp_path: Path) -> None:
    log_in(page, server)
    upload(page, server, "video", make_video_file(tmp_path / "pan.avi", frames=24, size=(96, 128)))
    upload(page, server, "classifier", CLASSIFIER)
    page.goto(f"{server.url}/verifications/new/")

    expect(page.get_by_label("Parameters of Farneback")).to_be_visible()
    expect(page.get_by_label("Parameters of DIS")).to_be_hidden()
    page.locator("input[name=extractor][value=dis]").check()
    expect(page.get_by_label("Parameters of Farneback")).to_be_hidden()
    parameters = page.get_by_label("Parameters of DIS")
    parameters.fill("speed=9")
    page.get_by_text("What can be set").locator("visible=true").click()
    expect(page.get_by_text("delta=5")).to_be_visible()
    photograph(page, "extractor")
    page.get_by_role("button", name="Start").click()
    expect(page.locator(".field-error")).to_contain_text("has no parameter 'speed'")

    expect(parameters).to_have_value("speed=9")
    parameters.fill("delta=0, patch_stride=3")
    page.get_by_role("button", name="Start").click()
    expect(page.locator(".lede")).to_contain_text("by dis:delta=0")
    expect(page.locator(".flow img").first).to_be_visible(timeout=PATIENCE)

    page.get_by_role("button", name="Cancel, keep bounds").click()
    expect(page.locator(".pill")).to_have_text("Cancelled", timeout=PATIENCE)
    page.get_by_role("link", name="Report").click()
    expect(page.get_by_text("extracted by dense inverse search (delta = 0)")).to_be_visible()
