"""A certificate is asked for on the page, seen while it is written, downloaded, and checked by somebody else."""

import json
import re
import shlex
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.steps import CLASSIFIER, PATIENCE, log_in, photograph, start, upload
from tests.factories import make_video_file
from tests.server import RealServer


def test_a_certificate_is_written_downloaded_and_checked(page: Page, server: RealServer, tmp_path: Path) -> None:
    log_in(page, server)
    video = make_video_file(tmp_path / "pan.avi", frames=24, size=(96, 128))
    upload(page, server, "video", video)
    upload(page, server, "classifier", CLASSIFIER)
    start(page, server, flows="3", seconds=6, certificate=True, space="translation")

    certificate = page.get_by_label("Certificate", exact=True)
    expect(certificate).to_contain_text("It will be written when the bounds are final.")
    photograph(page, "certificate-waiting")
    expect(certificate).to_contain_text("The certificate is being written", timeout=PATIENCE)
    expect(page.locator(".pill")).to_have_text("Running")
    expect(page.locator(".live > .bar")).to_contain_text("The bounds are final.")
    expect(page.get_by_role("button", name="Stop, without certificate")).to_be_visible()
    photograph(page, "certificate-writing")

    shown = certificate.locator("[data-figure=certificate]")
    expect(shown).to_contain_text("px L2", timeout=PATIENCE)
    expect(page.locator(".pill")).to_have_text(re.compile("Budget spent|Converged"))
    expect(page.get_by_label("Events")).to_contain_text("The certificate is written.")
    photograph(page, "certificate")
    with page.expect_download() as download:
        certificate.get_by_role("link", name="Download certificate.json").click()
    file = tmp_path / "certificate.json"
    download.value.save_as(file)
    assert float(shown.inner_text().split("px")[0]) <= json.loads(file.read_text())["radius"]

    there = {"certificate.json": str(file), video.name: str(video), CLASSIFIER.name: str(CLASSIFIER)}
    words = shlex.split(certificate.locator("#check-command").inner_text())
    assert words[:2] == ["python", "manage.py"]
    checked = server.manage(*(there.get(word, word) for word in words[2:]))
    assert (checked.returncode, checked.stdout[:6]) == (0, "valid:"), checked.stderr

    page.get_by_role("link", name="Report").click()
    expect(page.get_by_role("heading", name="Certificate")).to_be_visible()
    expect(page.locator("#check-command")).to_contain_text("check_certificate certificate.json")
    photograph(page, "certificate-report")


def test_the_page_says_why_there_is_none(page: Page, server: RealServer) -> None:
    log_in(page, server)
    page.goto(server.url + "/verifications/new/")
    page.get_by_label("Proof").select_option("grid")
    page.get_by_label("Tau of the grid, px").fill("0.5")
    start_button = page.get_by_role("button", name="Start")
    page.locator("input[name=space][value=translation]").check()
    page.get_by_label("Flows").fill("3")
    page.get_by_label("Budget, s").fill("4")
    page.get_by_label("Write a certificate").check()
    photograph(page, "certificate-question")
    start_button.click()
    certificate = page.get_by_label("Certificate", exact=True)
    expect(certificate).to_contain_text("None. ", timeout=PATIENCE)
    photograph(page, "certificate-none")
