"""Takes the pictures of the documentation from real pages: `python -m tests.browser.pictures`."""

import base64
import contextlib
import tempfile
import unittest
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from parachute_hub import __version__
from tests.browser.admin_app import pretended_hub
from tests.browser.browser import DESK, chromium, window
from tests.browser.door import open_door
from tests.browser.test_friends import FriendsCase
from tests.live.oauth_rig import connect_an_app

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
PHONE = {"width": 390, "height": 780}
CARD = {"width": 760, "height": 760}
# Each stays below 60 KB.
QUALITY = 80
NOTE = """## To plant

- [x] Peas by the fence
- [ ] Tomatoes, once the nights are warm
- [ ] Lavender for the bees

Seeds are in the **blue tin**. See [[Neighbours]] for the spade. #garden
"""


def take(page: Page, name: str, size: dict[str, int], scheme: str = "light") -> None:
    """The window as it is at this size."""
    page.set_viewport_size(size)  # type: ignore[arg-type]
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.wait_for_timeout(300)
    shot = page.context.new_cdp_session(page).send("Page.captureScreenshot", {"format": "webp", "quality": QUALITY})
    (FOLDER / f"{name}.webp").write_bytes(base64.b64decode(shot["data"]))


def take_both(page: Page, name: str, more: int = 0) -> None:
    """On a desk and on a phone, with `more` pixels of height."""
    take(page, name, {**DESK, "height": DESK["height"] + more})
    take(page, f"{name}-phone", {**PHONE, "height": PHONE["height"] + more})
    page.set_viewport_size(DESK)  # type: ignore[arg-type]


class Pictures(FriendsCase):
    def runTest(self) -> None:
        page = self.owner
        connect_an_app(self.hub.url, "Codex", "vault:default:read")
        page.goto(self.hub.url)
        take(page, "front", CARD)
        page.goto(f"{self.hub.url}/account/connect/codex")
        take(page, "connect", CARD)
        page.goto(f"{self.hub.url}/notes")
        page.get_by_role("button", name="Connect").click()
        page.get_by_role("button", name="Allow", exact=True).click()
        page.get_by_role("button", name="New note").press("Enter")
        page.get_by_label("Title").fill("Garden in spring")
        page.keyboard.press("Tab")
        page.keyboard.insert_text(NOTE)
        page.keyboard.press("Control+s")
        expect(page.get_by_role("status").first).to_have_text("Saved")
        take(page, "notes", DESK)
        take(page, "notes-phone", PHONE, "dark")


def set_up(page: Page, url: str, token: str) -> None:
    """The first visit, from the link in the log."""
    page.goto(f"{url}/admin/setup#{token}")
    expect(page.get_by_label("Setup token")).to_have_value(token)
    page.get_by_label("Setup token").evaluate("field => { field.value = 'parachute-bootstrap-EXAMPLE' }")
    take_both(page, "setup", more=220)
    page.get_by_label("Setup token").fill(token)
    for label in ("Password", "Repeat password"):
        page.get_by_label(label, exact=True).fill("three small paper boats")
    page.get_by_role("button", name="Make it mine").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("What should it do?")
    take_both(page, "setup-modules")


def answering(page: Page, path: str, **changed: Any) -> None:
    """From now on the hub answers this with these members changed; of a path it does not know, with these alone."""

    def answer(route: Any) -> None:
        found = route.fetch()
        route.fulfill(status=200, json={**(found.json() if found.ok else {}), **changed})

    page.route(f"**{path}", answer)


def administer(page: Page, url: str) -> None:
    """The pages that docs/deploy.md leads to, as of a hub on Render."""
    there, own = "https://parachute.onrender.com", "https://hub.example.com"
    answering(page, "/api/settings/hub-origin", hub_origin=None, resolved_issuer=there, source="render", former=[])
    renew: dict[str, Any] = {"apps": ["Claude"], "invitations": 1}
    plan: dict[str, Any] = {
        "from": there,
        "to": own,
        "from_answers_until": None,
        "renew": renew,
        "passkeys": [],
        "unreachable": None,
    }
    answering(page, "/api/settings/hub-origin/plan*", **plan)
    answering(page, "/api/hub", version=__version__)
    page.goto(f"{url}/admin/settings")
    page.get_by_label("Change it to").fill(own)
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("button", name="Change the address")).to_be_visible()
    take_both(page, "address", more=120)
    for name, heading in (("modules", "Installed"), ("backups", "/mnt/disk"), ("about", "The hub's own log")):
        page.goto(f"{url}/admin/{name}")
        expect(page.get_by_role("heading", name=heading)).to_be_visible()
        take_both(page, name)


def main() -> None:
    # The hub's home is made in the current folder.
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        result = unittest.TextTestRunner().run(Pictures())
    with pretended_hub("well") as hub, chromium() as browser, window(browser) as (_, page):
        page.goto(f"{hub.url}/admin")
        expect(page.get_by_role("heading", name="All is well")).to_be_visible()
        take(page, "home", DESK)
        page.goto(f"{hub.url}/admin/modules/hello")
        expect(page.get_by_text("703 KB")).to_be_visible()
        take(page, "before-installing", DESK)
        administer(page, hub.url)
    with open_door() as (url, token), chromium() as browser, window(browser) as (_, page):
        set_up(page, url, token)
    if not result.wasSuccessful():
        raise SystemExit(1)


if __name__ == "__main__":
    main()
