"""A person's own ONNX model: proposed as its shapes say, tried on a video, corrected, saved, and verified."""

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.steps import PATIENCE, log_in, photograph, start, upload
from tests.engine.onnx_models import classifier_model
from tests.factories import make_video_file
from tests.server import RealServer


def test_a_model_is_described_on_the_page_and_verified(page: Page, server: RealServer, tmp_path: Path) -> None:
    model = tmp_path / "walk.onnx"
    model.write_bytes(classifier_model(shape=(1, 4, 3, 16, 16)).SerializeToString())
    log_in(page, server)
    upload(page, server, "video", make_video_file(tmp_path / "street.avi", frames=24, size=(96, 128)))

    page.goto(server.url + "/classifiers/")
    page.set_input_files("#upload-classifier", model)
    proposal = page.locator(".proposal")
    expect(proposal.locator(".classes li")).to_have_count(3, timeout=PATIENCE)
    expect(proposal.locator(".classes")).to_contain_text("class 0")
    expect(page.get_by_label("Frames of a clip")).to_have_value("4")
    expect(page.get_by_label("Height × width")).to_have_value("16x16")
    expect(page.locator("#classifiers")).not_to_contain_text("walk.onnx")

    page.get_by_label("Values from black to white").select_option("0..255")
    page.get_by_label("Mean of each channel").fill("100, 110")
    page.get_by_label("Standard deviation").fill("50 50 50")
    expect(page.get_by_role("alert")).to_contain_text("three numbers, one for each channel")
    photograph(page, "proposal-refused")
    page.get_by_label("Mean of each channel").fill("100, 110, 120")
    page.get_by_label("Labels, in output order").fill("walks\nruns\nstands")
    page.get_by_role("button", name="Check again").click()
    expect(proposal.locator(".classes")).to_contain_text("walks", timeout=PATIENCE)
    expect(page.get_by_role("alert")).to_have_count(0)
    photograph(page, "proposal")
    page.get_by_role("button", name="Save classifier").click()
    expect(page.locator("[data-state=done]")).to_have_count(1, timeout=PATIENCE)

    page.get_by_role("link", name="walk.onnx").click()
    facts = page.locator(".facts")
    expect(facts).to_contain_text(
        "axes NTCHW, values 0..255, mean 100.0, 110.0, 120.0, standard deviation 50.0, 50.0, 50.0"
    )
    expect(facts).to_contain_text("walks, runs, stands")
    photograph(page, "classifier")

    start(page, server, norm="linf")
    expect(page.locator("[data-figure=lower].proven")).to_contain_text("px", timeout=PATIENCE)
    page.get_by_role("button", name="Cancel, keep bounds").or_(page.get_by_role("link", name="Report")).first.click()
    expect(page.locator("body")).to_contain_text(re.compile("Report|Cancelled|converged", re.I), timeout=PATIENCE)
