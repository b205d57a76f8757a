"""A person looks at a video before verifying it: it plays, its flow is drawn, and the part to verify can be chosen."""

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.steps import CLASSIFIER, log_in, photograph, upload
from tests.factories import make_video_file
from tests.server import RealServer

_LOADED = "image => image.complete && image.naturalWidth > 0"


def test_a_video_is_looked_at_and_a_part_of_it_chosen(page: Page, server: RealServer, tmp_path: Path) -> None:
    log_in(page, server)
    video = make_video_file(tmp_path / "v_Walking_g01_c02.avi", frames=40, size=(120, 160))
    upload(page, server, "video", video)
    expect(page.locator(".thumbnail img")).to_have_count(1)
    photograph(page, "videos")

    page.get_by_role("link", name=video.name).click()
    film = page.locator("video")
    page.wait_for_function("() => document.querySelector('video').readyState >= 2")
    film.evaluate("async film => { await film.play(); }")
    page.wait_for_function("() => document.querySelector('video').currentTime > 0.2")
    film.evaluate("film => film.pause()")

    arrows = page.get_by_alt_text(re.compile("Flow from frame 1 to frame 2, arrows"))
    expect(arrows).to_be_visible()
    assert arrows.evaluate(_LOADED)
    expect(page.locator("section", has_text="Optical flow")).to_contain_text("An arrow as long as its square is")
    photograph(page, "video-arrows")
    page.get_by_role("button", name="Direction").click()
    expect(page.get_by_role("img", name=re.compile("Colour wheel"))).to_be_visible()
    page.get_by_label("Apart").fill("5")
    expect(page.get_by_alt_text(re.compile("Flow from frame 1 to frame 6, direction"))).to_be_visible()
    photograph(page, "video-direction")

    upload(page, server, "classifier", CLASSIFIER)
    page.goto(server.url + "/verifications/new/")
    clip = page.locator(".sampling")
    expect(clip).to_contain_text("The clip: frames 1, ")
    page.get_by_label("First frame").fill("11")
    page.get_by_label("Last frame").fill("25")
    expect(clip).to_contain_text("The clip: frames 11, 13, 15, 17, 19, 21, 23, 25 of the video")
    page.get_by_label("Sampling").fill("floor")
    expect(clip).to_contain_text("The clip: frames 11, 12, 13, 14, 15, 16, 17, 18 of the video")
    page.get_by_label("Sampling").fill("")
    expect(clip).to_contain_text("The clip: frames 11, 13,")
    picture = clip.get_by_role("img")
    expect(picture).to_be_visible()
    page.wait_for_function("() => document.querySelector('.sampling img').naturalWidth > 0")
    photograph(page, "verification-new")
    detail = page.get_by_label("Blocks", exact=True)
    expect(detail).to_be_hidden()
    page.get_by_role("radio", name=re.compile("^Blocks")).check()
    expect(detail).to_have_value("2x2")
    expect(detail).to_be_visible()
    photograph(page, "verification-new-blocks")
    page.get_by_role("radio", name=re.compile("^Dense")).check()
    expect(detail).to_be_hidden()
    page.get_by_label("Last frame").fill("15")
    expect(clip).to_contain_text("has 5 frames to choose from, but the clip needs 8")
    page.get_by_label("Budget, s").fill("20")
    page.get_by_role("button", name="Start").click()
    expect(page.locator("body")).to_contain_text("fewer than the 8 asked for")
    page.get_by_label("Last frame").fill("25")
    page.get_by_role("button", name="Start").click()
    expect(page).to_have_url(re.compile(r"/verifications/[0-9a-f-]{36}/$"))
