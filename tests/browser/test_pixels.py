"""A verification in the space of pixels on the live page: frames instead of flows, pixel values instead of px."""

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.steps import CLASSIFIER, PATIENCE, log_in, start, upload
from tests.factories import make_video_file
from tests.server import RealServer


def test_the_live_page_shows_frames_and_pixel_values(page: Page, server: RealServer, tmp_path: Path) -> None:
    log_in(page, server)
    upload(page, server, "video", make_video_file(tmp_path / "pan.avi", frames=24, size=(96, 128)))
    upload(page, server, "classifier", CLASSIFIER)
    start(page, server, space="pixels", norm="linf")

    figures = page.locator(".figures")
    expect(page.locator("[data-figure=adversarial]")).to_contain_text("%", timeout=PATIENCE)
    expect(page.locator("[data-figure=lower].proven")).to_contain_text("pixel value L∞", timeout=PATIENCE)
    expect(page.locator("[data-figure=upper]")).to_contain_text("pixel value L∞")
    expect(figures).to_contain_text(re.compile(r"sound proof\s+[\d.]+ grey levels"))
    expect(figures).not_to_contain_text("px")

    expect(page.get_by_role("heading", name="Frames", exact=True)).to_be_visible()
    shown = page.get_by_alt_text("Difference, frame 1", exact=True)
    expect(shown).to_be_visible(timeout=PATIENCE)
    page.wait_for_function("image => image.complete && image.naturalWidth > 0", arg=shown.element_handle())
    expect(page.get_by_text("Frame 1 of 8")).to_be_visible()
    expect(page.get_by_alt_text(re.compile("flow"))).to_have_count(0)
    expect(page.locator(".axis")).to_have_text("Radius, pixel value")

    page.get_by_role("button", name="Cancel, keep bounds").click()
    expect(page.locator(".pill")).to_have_text("Cancelled", timeout=PATIENCE)
    page.get_by_role("link", name="Report").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("grey levels) in L∞")
