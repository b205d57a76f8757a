"""What a person does on the pages, in steps that several tests take."""

import os
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
    if kind == "classifier":
        page.get_by_role("button", name="Save classifier").click(timeout=PATIENCE)
    expect(page.locator("[data-state=done]")).to_have_count(1, timeout=PATIENCE)
    expect(page.locator(f"#{kind}s")).to_contain_text(file.name)


def start(
    page: Page,
    server: RealServer,
    flows: str = "all",
    seconds: int = 300,
    certificate: bool = False,
    **choices: str,
) -> str:
    """Fill in the form, with options by the names of their fields; returns the id of the verification."""
    page.goto(server.url + "/verifications/new/")
    for name, value in choices.items():
        page.locator(f"input[name={name}][value={value}]").check()
    if flows != "all":  # which a form about no flow does not ask
        page.get_by_label("Flows").fill(flows)
    page.get_by_label("Budget, s").fill(str(seconds))
    page.get_by_label("Write a certificate").set_checked(certificate)
    page.get_by_role("button", name="Start").click()
    expect(page).to_have_url(re.compile(r"/verifications/[0-9a-f-]{36}/$"))
    return page.url.rstrip("/").rpartition("/")[2]


def photograph(page: Page, name: str) -> None:
    """Pictures for people, where the environment names a folder for them: at a desk and on a phone, light and dark."""
    folder = os.environ.get("FLOWVERIFY_TEST_PICTURES")
    if not folder:
        return
    before = page.viewport_size or {"width": 1280, "height": 900}
    for device, size in (("desk", before), ("phone", {"width": 390, "height": 844})):
        page.set_viewport_size({"width": size["width"], "height": size["height"]})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            page.screenshot(path=Path(folder) / f"{name}-{device}-{scheme}.png", full_page=True)
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(before)
