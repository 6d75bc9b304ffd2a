"""Modules' own settings pages in a browser in which the owner is signed in. Two catalog modules have pages that fetch
tokens like published ones: with the session cookie alone.
"""

import json
from pathlib import Path

from playwright.sync_api import Page, expect
from twisted.trial.unittest import SynchronousTestCase

from tests.browser.browser import chromium, picture, window
from tests.live.harness import HubProcess, hub
from tests.requirements import program, requires
from tests.support.npm import pack

PASSWORD = "three small paper boats"
OWNER = {"PARACHUTE_INITIAL_ADMIN_USERNAME": "ada", "PARACHUTE_INITIAL_ADMIN_PASSWORD": PASSWORD}
SETTLER, NEIGHBOUR = "settler", "neighbour"
PAGE = """<!doctype html><title>Settings</title><h1>Own settings</h1>
<output></output><script type="module" src="ask.js"></script>"""
ASK = """
const asked = new URLSearchParams(location.search).get("ask") ?? "/admin/module-token/settler"
const answer = await fetch(asked, { credentials: "include", headers: { accept: "application/json" } })
const body = await answer.json()
const held = body.token ? JSON.parse(atob(body.token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"))) : {}
document.querySelector("output").textContent = `${answer.status} ${body.error ?? held.scope}`
"""


def packed(short: str, port: int) -> bytes:
    """A package of static pages that defines a scope, packed for a registry."""
    manifest = {
        "name": short,
        "manifestName": f"toys-{short}",
        "displayName": short.title(),
        "port": port,
        "paths": [f"/{short}"],
        "health": f"/{short}/health",
        "configUiUrl": f"/{short}/",
        "scopes": {"defines": [f"{short}:admin"]},
    }
    return pack(
        {
            "package.json": json.dumps({"name": f"@toys/{short}", "version": "1.0.0"}),
            ".parachute/module.json": json.dumps(manifest),
            "dist/index.html": PAGE,
            "dist/ask.js": ASK,
        }
    )


def catalog(folder: Path) -> Path:
    """A catalog of both."""
    entries = []
    for short, port in ((SETTLER, 2811), (NEIGHBOUR, 2812)):
        (folder / f"{short}.tgz").write_bytes(packed(short, port))
        entries.append(
            {"short": short, "package": f"@toys/{short}", "displayName": short.title(), "source": f"{short}.tgz"}
        )
    target = folder / "catalog.json"
    target.write_text(json.dumps({"modules": entries}))
    return target


@requires(program("chromium"))
class SettingsPageTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = Path(self.mktemp()).absolute()
        folder.mkdir(parents=True)
        self.hub: HubProcess = hub(self, catalog=catalog(folder), environment=OWNER).start()
        for short in (SETTLER, NEIGHBOUR):
            self.hub.install(short)
            self.hub.wait_for(lambda short=short: self.hub.module(short)["state"] == "ready", short)

    def told(self, page: Page, short: str, ask: str = "") -> str:
        """What the module's page received."""
        page.goto(f"{self.hub.url}/{short}/" + (f"?ask={ask}" if ask else ""))
        return self.output(page)

    def output(self, page: Page) -> str:
        output = page.locator("output")
        expect(output).not_to_be_empty()
        return output.text_content() or ""

    def test_a_page_has_a_token_after_the_person_opened_it_from_the_hub(self) -> None:
        with chromium() as browser, window(browser, complaints=False) as (_, page):
            page.goto(f"{self.hub.url}/login")
            page.get_by_label("Username").fill("ada")
            page.get_by_label("Password").fill(PASSWORD)
            page.get_by_role("button", name="Sign in").click()
            page.wait_for_url("**/admin/**")
            for short in (SETTLER, NEIGHBOUR):
                self.assertEqual(self.told(page, short), "403 settings_not_opened", short)

            page.goto(f"{self.hub.url}/admin/modules/{SETTLER}")
            page.get_by_role("button", name="Open the settings page of Settler").click()
            dialog = page.get_by_role("dialog", name="Confirm it's you")
            expect(dialog).to_contain_text("let the settings page of settler make changes for ten minutes")
            picture(page, "settings-open")
            page.keyboard.type(PASSWORD)
            page.keyboard.press("Enter")
            page.wait_for_url(f"**/{SETTLER}/")
            self.assertEqual(self.output(page), "200 settler:admin")
            picture(page, "settings-opened")
            for ask in ("/admin/module-token/neighbour", "/admin/host-admin-token"):
                self.assertIn(self.told(page, SETTLER, ask)[:3], ("403", "405"), ask)
        acts = self.hub.client.call("GET", "/api/audit")["acts"]
        self.assertIn(("module-token", SETTLER), [(act["action"], act["subject"]) for act in acts])
