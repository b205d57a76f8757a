"""What a person does on the pages, in steps that several tests take."""

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.server import ROOT, RealServer

CLASSIFIER = ROOT / "verification" / "demo" / "camera_motion.safetensors"
#: Milliseconds for what the engine has to find first; generous, because it shares the machine with other tests.
PATIENCE = 120_000


def log_in(page: Page, server: RealServer) -> None:
    page.goto(server.url + "/")
    expect(page).to_have_url(re.compile("/login/"))
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill(server.password)
    page.get_by_role("button", name="Log in").click()
    if page.url.endswith("/teams/"):  # the first person of a server without the demo has no team yet
        page.get_by_label("Name").fill("Browser")
        page.get_by_role("button", name="Create a team").click()


def upload(page: Page, server: RealServer, kind: str, file: Path) -> None:
    page.goto(f"{server.url}/{kind}s/")
    page.set_input_files(f"#upload-{kind}", file)
    expect(page.locator(f"#{kind}s")).to_contain_text(file.name)
    expect(page.locator("[data-state=done]")).to_have_count(1)


def start(page: Page, server: RealServer, **choices: str) -> str:
    """Fill in the form, with options by the names of their fields; returns the id of the verification."""
    page.goto(server.url + "/verifications/new/")
    for name, value in choices.items():
        page.locator(f"input[name={name}][value={value}]").check()
    page.get_by_label("Budget, s").fill("300")
    page.get_by_role("button", name="Start").click()
    expect(page).to_have_url(re.compile(r"/verifications/[0-9a-f-]{36}/$"))
    return page.url.rstrip("/").rpartition("/")[2]
