"""The game of the two players on the live page, as it goes on and as it ended."""

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.steps import CLASSIFIER, PATIENCE, log_in, photograph, start, upload
from tests.factories import make_video_file
from tests.server import RealServer


def test_the_players_are_seen_while_they_play_and_afterwards_and_so_is_a_grid(
    page: Page, server: RealServer, tmp_path: Path
) -> None:
    log_in(page, server)
    upload(page, server, "video", make_video_file(tmp_path / "pan.avi", frames=24, size=(96, 128)))
    upload(page, server, "classifier", CLASSIFIER)
    page.goto(server.url + "/verifications/new/")
    photograph(page, "question")
    start(page, server, space="translation", flows="3,5")

    game = page.get_by_label("The game", exact=True)
    expect(game).to_contain_text("Player I: the flow", timeout=PATIENCE)
    expect(game.locator(".bars").first.locator("li")).to_have_count(2)
    expect(game.locator(".bars").first).to_contain_text("Flow 3")
    expect(game.locator(".bars").first).to_contain_text("Flow 5")
    expect(game.get_by_role("img", name="Heat map of where Player II acts").locator("span")).to_have_count(256)
    page.wait_for_function(
        "Number(document.querySelector('[data-figure=certified]')?.textContent.replace(/\\D/g, '')) > 5"
    )
    photograph(page, "game")

    page.get_by_role("button", name="Cancel, keep bounds").click()
    expect(page.locator(".pill")).to_have_text("Cancelled", timeout=PATIENCE)
    page.reload()
    expect(page.get_by_label("The game", exact=True)).to_contain_text("Left open")

    page.goto(server.url + "/verifications/new/")
    page.get_by_label("Proof").select_option("grid")
    page.get_by_label("Tau of the grid, px").fill("0.5")
    page.locator("input[name=space][value=translation]").check()
    page.get_by_label("Flows").fill("4")
    page.get_by_role("button", name="Start").click()

    game = page.get_by_label("The game", exact=True)
    expect(game).to_contain_text("The grid", timeout=PATIENCE)
    page.wait_for_function(
        "Number(document.querySelector('[data-figure=fmsr]')?.textContent.replace('px', '')) > 0", timeout=PATIENCE
    )
    expect(game).to_contain_text("conditional, not a proof")
    photograph(page, "grid")
