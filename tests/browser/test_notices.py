"""Notices by browser on a real hub: a destination is added, tested and removed; a push message is shown."""

import json
from contextlib import ExitStack

from playwright.sync_api import Page, expect
from twisted.trial.unittest import SynchronousTestCase

from tests.browser.admin_app import built
from tests.browser.browser import DESK, PHONE, chromium, findings, until, wider_than_the_window, window
from tests.live.harness import OWNER, HubProcess, hub
from tests.live.notice_rig import services
from tests.requirements import program, requires

NAME = OWNER["PARACHUTE_INITIAL_ADMIN_USERNAME"]
PASSWORD = OWNER["PARACHUTE_INITIAL_ADMIN_PASSWORD"]
WORKER = """async () => {
  const made = await navigator.serviceWorker.register("/admin/push.js")
  await navigator.serviceWorker.ready
  return made.scope
}"""
SHOWN = """async () => {
  const made = await navigator.serviceWorker.ready
  return (await made.getNotifications()).map(({ title, tag }) => [title, tag])
}"""


@requires(program("chromium"))
class NoticesTests(SynchronousTestCase):
    def setUp(self) -> None:
        built()
        self.stack = ExitStack()
        self.addCleanup(self.stack.close)
        self.services = services(self)
        self.hub: HubProcess = hub(self).start()
        self.browser = self.stack.enter_context(chromium())
        context, self.page = self.stack.enter_context(window(self.browser))
        context.grant_permissions(["notifications"], origin=self.hub.url)
        self.page.goto(f"{self.hub.url}/admin/notices")
        self.page.get_by_label("Username").fill(NAME)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.keyboard.press("Enter")
        expect(self.page.get_by_role("heading", name="Notices", level=1)).to_be_visible()

    def confirm(self, page: Page) -> None:
        dialog = page.get_by_role("dialog", name="Confirm it's you")
        dialog.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        expect(dialog).to_have_count(0)

    def test_a_destination_is_added_tested_and_removed(self) -> None:
        page = self.page
        page.get_by_label("Where", exact=True).select_option("ntfy")
        page.get_by_label("Address").fill(self.services.url("/my-topic"))
        page.get_by_label("Name (optional)").fill("My phone")
        page.get_by_role("button", name="Test and add").click()
        # The password is asked once, after what the address shows.
        page.get_by_role("button", name="Yes, use it").click()
        self.confirm(page)
        row = page.get_by_role("listitem").filter(has_text="My phone")
        expect(row).to_contain_text("Last notice just now")
        for size in (PHONE, DESK):
            page.set_viewport_size({"width": size["width"], "height": size["height"]})
            self.assertEqual(findings(page), [], str(size))
            self.assertFalse(wider_than_the_window(page), str(size))
        self.services.failing.add("/")
        row.get_by_role("button", name="Test").click()
        expect(row).to_contain_text("127.0.0.1")
        expect(row).to_contain_text("answered 500")
        page.get_by_label("Quiet hours").check()
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_text("Saved", exact=True)).to_be_visible()
        self.assertEqual(self.hub.client.call("GET", "/api/notices")["quiet"]["from"], "22:00")
        page.goto(f"{self.hub.url}/admin")
        expect(page.get_by_text("A notice did not arrive")).to_be_visible(timeout=30_000)
        page.goto(f"{self.hub.url}/admin/notices")
        self.services.failing.clear()
        row.get_by_role("button", name="Remove").click()
        self.confirm(page)
        expect(page.get_by_text("Nowhere yet")).to_be_visible()
        self.assertNotIn("my-topic", page.content())

    def test_a_push_message_is_shown(self) -> None:
        """The browser takes it from the development tools, so no push service is needed."""
        page = self.page
        self.assertEqual(page.evaluate(WORKER), f"{self.hub.url}/admin/")
        tools = page.context.new_cdp_session(page)
        found: list[str] = []
        tools.on(
            "ServiceWorker.workerRegistrationUpdated",
            lambda told: found.extend(one["registrationId"] for one in told["registrations"]),
        )
        tools.send("ServiceWorker.enable")
        until(page, lambda: bool(found), "the worker to be known to the tools")
        told = {"title": "The disk is full", "body": "Why.", "link": f"{self.hub.url}/admin/", "tag": "disk"}
        message = {"origin": self.hub.url, "registrationId": found[-1], "data": json.dumps(told)}
        tools.send("ServiceWorker.deliverPushMessage", message)
        until(page, lambda: bool(page.evaluate(SHOWN)), "the message")
        self.assertEqual(page.evaluate(SHOWN), [["The disk is full", "disk"]])
