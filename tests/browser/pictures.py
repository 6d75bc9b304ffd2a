"""Takes the pictures of the documentation from real pages: `python -m tests.browser.pictures`."""

import contextlib
import tempfile
import unittest
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.admin_app import pretended_hub
from tests.browser.browser import DESK, chromium, window
from tests.browser.test_friends import FriendsCase
from tests.live.oauth_rig import connect_an_app

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
PHONE = {"width": 390, "height": 780}
CARD = {"width": 760, "height": 760}
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
    page.screenshot(path=str(FOLDER / f"{name}.png"))


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
    if not result.wasSuccessful():
        raise SystemExit(1)


if __name__ == "__main__":
    main()
