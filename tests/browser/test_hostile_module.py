"""A hostile module in a browser in which the owner is signed in, installed twice: from the catalog, and as an
untrusted package. The untrusted one is sandboxed, and nothing it tries succeeds. The catalog one shares our origin;
it can read, but cannot do anything that needs a proof, nor frame, read or take over our pages.
"""

import io
import json
import re
import tarfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect
from twisted.trial.unittest import SynchronousTestCase

from tests.browser.browser import chromium, window
from tests.live.harness import HubProcess, hub
from tests.requirements import program, requires

HOSTILE = Path(__file__).with_name("hostile")
PASSWORD = "three small paper boats"
OWNER = {"PARACHUTE_INITIAL_ADMIN_USERNAME": "ada", "PARACHUTE_INITIAL_ADMIN_PASSWORD": PASSWORD}
VOUCHED, STRANGER = "vouched", "stranger"
ATTEMPTS = 40


@requires(program("chromium"))
class HostileModuleTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = Path(self.mktemp()).absolute()
        folder.mkdir(parents=True)
        both = catalog(folder, VOUCHED, STRANGER)
        self.hub: HubProcess = hub(self, catalog=both, environment=OWNER).start()
        for short in (VOUCHED, STRANGER):
            self.hub.install(short)
        # From now on the catalog does not know the second one.
        self.hub.stop()
        self.hub.catalog = catalog(folder, VOUCHED)
        self.hub.start()
        self.hub.client.call("POST", "/api/users", {"username": "grace", "password": "her own first password"})
        self.before = self.state()

    def state(self) -> Any:
        """Everything that no module may change."""
        people = self.hub.client.call("GET", "/api/users")
        origin = self.hub.client.call("GET", "/api/settings/hub-origin")
        invites = self.hub.client.call("GET", "/api/invites")
        return people, origin, invites

    def attack(self, page: Page, short: str) -> dict[str, bool]:
        """Sign in, open the module's page, and wait until it has tried everything."""
        page.goto(f"{self.hub.url}/login")
        page.get_by_label("Username").fill("ada")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/admin/**")
        self.wait_until_ready(short)
        page.goto(f"{self.hub.url}/{short}")
        done = page.locator("p[data-results]")
        expect(done).to_be_attached(timeout=60_000)
        results: dict[str, bool] = json.loads(done.get_attribute("data-results") or "{}")
        self.assertEqual(len(results), ATTEMPTS)
        return results

    def wait_until_ready(self, short: str) -> None:
        self.hub.wait_for(lambda: self.hub.module(short)["state"] == "ready", f"{short} to be ready")

    def still_ours(self, page: Page, short: str) -> None:
        """Pages are the hub's, the owner is signed in or must sign in again, and nothing has changed."""
        self.assertEqual(self.state(), self.before)
        page.goto(f"{self.hub.url}/login")
        self.assertNotIn("taken over", page.content())
        expect(page).to_have_title(re.compile("· Parachute"))
        seen = page.request.get(f"{self.hub.url}/{short}/seen").text()
        self.assertNotIn("parachute_hub", seen)

    def test_from_a_module_that_nobody_vouches_for(self) -> None:
        """Not one attempt succeeds."""
        with chromium() as browser, window(browser, complaints=False) as (_, page):
            results = self.attack(page, STRANGER)
            self.assertEqual([name for name, won in results.items() if won], [])
            self.still_ours(page, STRANGER)
            page.goto(f"{self.hub.url}/account")
            expect(page.get_by_role("heading", level=1)).to_have_text("Your account")

    def test_from_a_module_of_the_catalog(self) -> None:
        """It reads what a signed-in page reads; nothing that needs a proof succeeds, and no page is taken over."""
        with chromium() as browser, window(browser, complaints=False) as (context, page):
            results = self.attack(page, VOUCHED)
            won = [name for name, success in results.items() if success]
            self.assertEqual([name for name in won if not name.startswith(("read:", "act:"))], [])
            # It was signed in and knew the CSRF token: the rest failed for want of a proof, not of a session.
            self.assertEqual(
                [name for name, success in results.items() if name.startswith("read:") and not success], []
            )
            self.still_ours(page, VOUCHED)
            planted = [cookie for cookie in context.cookies() if "planted" in str(cookie.get("value"))]
            self.assertEqual([cookie for cookie in planted if cookie.get("path") == "/"], [])


def catalog(folder: Path, *shorts: str) -> Path:
    """A catalog of such modules with a pack of each."""
    entries = []
    for short in shorts:
        pack = folder / f"{short}.tgz"
        pack.write_bytes(packed(short))
        entries.append(
            {
                "short": short,
                "package": f"@toys/{short}",
                "displayName": short.title(),
                "tagline": "Means harm",
                "source": pack.name,
            }
        )
    target = folder / f"catalog-{len(shorts)}.json"
    target.write_text(json.dumps({"modules": entries}))
    return target


def packed(short: str) -> bytes:
    """The hostile module under a name, packed for a registry."""
    manifest = {
        "name": short,
        "manifestName": f"toys-{short}",
        "displayName": short.title(),
        "tagline": "Means harm",
        "port": 2801 if short == VOUCHED else 2802,
        "paths": [f"/{short}"],
        "health": f"/{short}/health",
        "startCmd": [f"toy-{short}"],
    }
    package = {"name": f"@toys/{short}", "version": "1.0.0", "type": "module", "bin": {f"toy-{short}": "server.ts"}}
    files = {
        "package.json": json.dumps(package).encode(),
        ".parachute/module.json": json.dumps(manifest).encode(),
        **{path.name: path.read_bytes() for path in sorted(HOSTILE.iterdir())},
    }
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size, member.mode = len(content), 0o755
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()
