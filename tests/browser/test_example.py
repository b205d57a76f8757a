"""The adversarial example on page and report: a film that plays, its figures, arrows, and files to keep."""

import re
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from tests.browser.steps import CLASSIFIER, PATIENCE, log_in, photograph, upload
from tests.factories import make_video_file
from tests.server import RealServer

MOVES = "film => new Promise(done => film.addEventListener('timeupdate', () => film.currentTime > 0.3 && done(true)))"


def film_of(page: Page) -> Locator:
    film = page.get_by_label("The clip before and after, and the difference")
    expect(film).to_be_visible(timeout=PATIENCE)
    page.wait_for_function("film => film.readyState >= 2 && film.videoWidth > 0", arg=film.element_handle())
    return film


def test_the_example_is_shown_measured_and_offered(page: Page, server: RealServer, tmp_path: Path) -> None:
    log_in(page, server)
    upload(page, server, "video", make_video_file(tmp_path / "pan.avi", frames=24, size=(96, 128)))
    upload(page, server, "classifier", CLASSIFIER)
    page.goto(server.url + "/verifications/new/")
    page.get_by_label("Only count examples that survive rounding to 8 bits").check()
    photograph(page, "eight-bit-form")
    page.get_by_role("button", name="Start").click()
    expect(page.locator(".lede")).to_contain_text("examples in 8 bits")

    # On the live page.
    expect(page.get_by_role("heading", name="The example")).to_be_visible(timeout=PATIENCE)
    page.get_by_role("button", name="Cancel, keep bounds").click()
    expect(page.locator(".pill")).to_have_text("Cancelled", timeout=PATIENCE)
    example = page.get_by_label("The example", exact=True)
    expect(example).to_contain_text(re.compile(r"PSNR\s*[\d.]+ dB on average, [\d.]+ dB in the worst frame"))
    expect(example).to_contain_text("The class stays changed when the frames are rounded to 8 bits")
    film = film_of(page)
    assert page.evaluate(MOVES, film.element_handle()), "it plays by itself"
    page.get_by_role("button", name="Arrows").click()
    arrows = page.get_by_alt_text("Perturbed flow, frames 1 and 2")
    expect(arrows).to_have_attribute("src", re.compile("content"))
    page.wait_for_function("image => image.complete && image.naturalWidth == 256", arg=arrows.element_handle())
    photograph(page, "example-live")
    with page.expect_download() as download:
        page.get_by_role("link", name="Perturbed clip in 8 bits, without loss").click()
    assert download.value.suggested_filename == "clip-8-bit.mkv"

    # In the report, and to somebody who asked for less motion.
    page.emulate_media(reduced_motion="reduce")
    page.get_by_role("link", name="Report").click()
    assert film_of(page).evaluate("film => film.paused && film.controls")
    expect(page.get_by_text("which survives the rounding of the frames to 8 bits")).to_be_visible()
    expect(page.get_by_role("link", name="Perturbed flows, Middlebury")).to_be_visible()
    photograph(page, "example-report")
