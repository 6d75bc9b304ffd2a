"""What a module may do, as the owner sees it: before the installation, on its page, and when a version wants more."""

import json
from contextlib import ExitStack
from pathlib import Path

from playwright.sync_api import Locator, expect
from twisted.trial.unittest import SynchronousTestCase

from tests.browser.admin_app import built
from tests.browser.browser import chromium, picture, window
from tests.live.harness import OWNER, HubProcess, hub, registry
from tests.live.modules_rig import module
from tests.modules.homes import write
from tests.requirements import program, requires, right
from tests.support.npm import files_of, pack

NAME, PASSWORD = OWNER["PARACHUTE_INITIAL_ADMIN_USERNAME"], OWNER["PARACHUTE_INITIAL_ADMIN_PASSWORD"]
OWN = "Keeps data of its own, and sees no other data on this hub."
LITTLE = {"network": ["api.example.com"]}
HOST = "Can reach api.example.com on the internet, and nothing else there."
MORE = {"network": "any", "folders": ["/srv/toys"], "programs": ["git"], "memory": 200}
EVERYTHING = [
    OWN,
    "Can use the internet.",
    "Can read and change files in /srv/toys.",
    "Uses git if installed on this machine.",
    "Uses up to 200 MB of memory.",
]


@requires(program("chromium"), right("to confine programs"))
class PermissionTests(SynchronousTestCase):
    timeout = 180

    def setUp(self) -> None:
        built()
        top = Path(self.mktemp()).absolute()
        (top / "packs").mkdir(parents=True)
        for version, permissions in (("1.0.0", LITTLE), ("1.1.0", MORE)):
            folder = write(top / version, module(version=version, permissions=permissions))
            (top / "packs" / f"toy-{version}.tgz").write_bytes(pack(files_of(folder)))
        offered = {"short": "toy", "package": "@toys/toy", "displayName": "Toy", "permissions": LITTLE}
        (top / "catalog.json").write_text(json.dumps({"modules": [offered]}))
        variables = {"BUN_CONFIG_REGISTRY": registry(self, top / "packs"), "PARACHUTE_ISOLATION": "required"}
        self.hub: HubProcess = hub(self, catalog=top / "catalog.json", environment=variables).start()
        stack = ExitStack()
        self.addCleanup(stack.close)
        _, self.page = stack.enter_context(window(stack.enter_context(chromium())))
        self.page.goto(f"{self.hub.url}/admin/modules")
        self.page.get_by_label("Username").fill(NAME)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.keyboard.press("Enter")

    def card(self) -> Locator:
        return self.page.get_by_role("region", name="What it can do")

    def test_before_on_its_page_and_when_a_version_wants_more(self) -> None:
        offered = self.page.locator("li.module").filter(has=self.page.get_by_role("heading", name="Toy", exact=True))
        expect(offered.locator("ul.plain-list li")).to_have_text([OWN, HOST])
        self.hub.install("toy", version="1.0.0")
        self.page.goto(f"{self.hub.url}/admin/modules/toy")
        expect(self.card().locator("ul.plain-list li")).to_have_text([OWN, HOST])
        self.hub.client.call("GET", "/api/modules?fresh=1")
        self.page.get_by_role("button", name="Update to 1.1.0").click()
        refused = self.page.get_by_text("use the whole network").first
        expect(refused).to_be_visible(timeout=60_000)
        self.assertEqual(self.hub.module("toy")["installed_version"], "1.0.0")
        self.page.get_by_role("button", name="Allow it and try again").click()
        dialog = self.page.get_by_role("dialog", name="Confirm it's you")
        dialog.get_by_label("Password").fill(PASSWORD)
        self.page.keyboard.press("Enter")
        expect(self.card().locator("ul.plain-list li")).to_have_text(EVERYTHING, timeout=60_000)
        self.hub.wait_for(lambda: self.hub.module("toy")["state"] == "ready", "the new version to run")
        self.assertEqual(self.hub.module("toy")["installed_version"], "1.1.0")
        self.change_the_limits()

    def change_the_limits(self) -> None:
        """The manifest's limit, then the owner's, which holds for the running process."""
        card = self.page.get_by_role("region", name="Memory and processor")
        expect(card).to_contain_text("It may use up to 200 MB of memory, and every processor.")
        self.hub.wait_for(lambda: not self.busy(), "the end of the upgrade")
        before = self.hub.module("toy")["pid"]
        card.get_by_text("Change its limits").click()
        card.get_by_label("Memory", exact=True).select_option("512 MB")
        card.get_by_label("Processor", exact=True).select_option("50%")
        picture(self.page, "module-limits")
        card.get_by_role("button", name="Save limits").click()
        expect(card).to_contain_text("It may use up to 512 MB of memory, and 50% of a processor.")
        now = self.hub.module("toy")
        self.assertEqual((now["pid"], now["limits"]["memory"], now["limits"]["cpu"]), (before, 512 << 20, 50))

    def busy(self) -> bool:
        jobs = self.hub.client.call("GET", "/api/modules/operations")["operations"]
        return any(job["status"] in ("pending", "running") for job in jobs)
