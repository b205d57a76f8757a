"""The main job, as a person does it: log in, upload, start, watch the bounds move, see the example, stop."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, WebSocket, expect

from tests.browser.steps import CLASSIFIER, PATIENCE, log_in, start, upload
from tests.factories import make_video_file
from tests.server import RealServer, wait_for


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A texture that moves to the right, larger and longer than the classifier takes."""
    return make_video_file(tmp_path / "pan.avi", frames=24, size=(96, 128))


def points(page: Page) -> int:
    """How many points the chart shows."""
    return int(page.locator("[data-points]").get_attribute("data-points") or 0)


def heard_points(messages: list[dict[str, Any]]) -> int:
    """How many points came over the socket."""
    return sum(len(message["points"]) for message in messages if message["type"] == "bounds")


def listen(page: Page) -> list[dict[str, Any]]:
    """Everything that the page's sockets receive from now on."""
    messages: list[dict[str, Any]] = []

    def opened(socket: WebSocket) -> None:
        socket.on("framereceived", lambda frame: messages.append(json.loads(frame)))

    page.on("websocket", opened)
    return messages


def test_from_login_to_the_adversarial_picture(page: Page, server: RealServer, clip: Path) -> None:
    messages = listen(page)
    log_in(page, server)
    upload(page, server, "video", clip)
    upload(page, server, "classifier", CLASSIFIER)
    verification = start(page, server)

    # The chart moves, and what moves it comes over the socket.
    expect(page.locator("[data-connection=live]")).to_be_visible()
    page.wait_for_function("document.querySelector('[data-points]').dataset.points >= 2", timeout=PATIENCE)
    before, drawn = points(page), page.locator(".u-over").locator("..").screenshot()
    page.wait_for_function(
        "before => document.querySelector('[data-points]').dataset.points > before", arg=before, timeout=PATIENCE
    )
    wait_for(lambda: page.locator(".u-over").locator("..").screenshot() != drawn, 10, "the chart looks different")
    assert heard_points(messages) >= 1

    # The example is there: its class, its size, and its picture, which is not the original one.
    expect(page.locator("[data-figure=adversarial]")).to_contain_text("%", timeout=PATIENCE)
    expect(page.locator("[data-figure=upper]")).to_contain_text("px")
    shown = page.get_by_alt_text(re.compile("^Perturbed flow"))
    expect(shown).to_be_visible(timeout=PATIENCE)
    page.wait_for_function("image => image.complete && image.naturalWidth > 0", arg=shown.element_handle())
    original = page.get_by_alt_text(re.compile("^Original flow"))
    assert shown.get_attribute("src") != original.get_attribute("src")

    # A reload loses no point.
    before = points(page)
    page.reload()
    page.wait_for_function(
        "before => document.querySelector('[data-points]')?.dataset.points >= before", arg=before, timeout=PATIENCE
    )

    # Cancel keeps the bounds; the page ends with exactly what the database holds.
    page.get_by_role("button", name="Cancel, keep bounds").click()
    expect(page.locator(".pill")).to_have_text("Cancelled", timeout=PATIENCE)
    recorded = server.bounds(verification)
    assert len(recorded) >= before
    expect(page.locator("[data-points]")).to_have_attribute("data-points", str(len(recorded)))
    assert [point["number"] for point in recorded] == list(range(1, len(recorded) + 1))
    assert float(page.locator("[data-figure=upper]").inner_text().split("px")[0]) >= recorded[-1]["upper"]

    page.get_by_role("link", name="Report").click()
    expect(page.get_by_role("heading", name="What is proven")).to_be_visible()


def test_an_invitation_link_lets_a_colleague_in(page: Page, chromium: Browser, server: RealServer) -> None:
    log_in(page, server)
    page.goto(server.url + "/teams/")
    page.get_by_role("button", name="Create an invitation link").click()
    link = page.get_by_label("Invitation link 1").input_value()
    server.create_user("grace", "a password of her own")

    context = chromium.new_context()
    guest = context.new_page()
    guest.goto(link)
    guest.get_by_label("Username").fill("grace")
    guest.get_by_label("Password").fill("a password of her own")
    guest.get_by_role("button", name="Log in").click()
    guest.get_by_role("button", name="Join the team").click()

    # Only a browser sends the header Origin that the check against forged forms looks at.
    expect(guest.get_by_text("You are now a member of")).to_be_visible()
    context.close()
