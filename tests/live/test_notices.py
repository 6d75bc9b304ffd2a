"""Notices of a running hub, from a real problem to stand-ins of every kind of service."""

import json
from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.live.harness import HubProcess, fetch, hub, session_of_owner
from tests.live.notice_rig import services
from tests.live.test_command import run
from tests.support.push_service import Browser, decoded, verified


class NoticesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.services = services(self)
        self.hub: HubProcess = hub(self).start()

    def add(self, kind: str, **told: Any) -> str:
        """A destination by the API; its id."""
        body = {"kind": kind, "private": True, **told}
        added: str = self.hub.client.call("POST", "/api/notices/destinations", body)["id"]
        return added

    def test_from_a_problem_to_every_kind_of_destination(self) -> None:
        """A webhook that fails is a problem; the others hear of it, and of its end."""
        browser, arrived = Browser(), self.services
        key = decoded(self.hub.client.call("GET", "/api/notices/key")["key"])
        server = {"host": "127.0.0.1", "port": arrived.mail, "security": "none"}
        self.add("ntfy", url=arrived.url("/my-topic"))
        self.add("email", **server, sender="hub@x.test", to="me@x.test", username="hub", password="pass-word-of-mail")
        self.add("push", subscription=browser.subscription(arrived.url("/push")), browser="Firefox")
        self.add("ping", url=arrived.url("/ping"))
        hook = self.add("webhook", url=arrived.url("/hook-of-mine"), secret="s")
        arrived.failing.add("/hook-of-mine")
        test = f"/api/notices/destinations/{hook}/test"
        self.assertEqual(fetch(f"{self.hub.url}{test}", method="POST", body={}, headers=self.operator()).status, 400)

        problem = "A notice did not arrive"
        self.wait_for(lambda: problem in arrived.titles("/"), "the notice by ntfy")
        self.hub.wait_for(lambda: any(f"Subject: {problem}" in one for one in arrived.letters), "the letter")
        self.hub.wait_for(lambda: problem in self.pushed(browser), "the push message")
        arrived.failing.clear()
        self.hub.client.call("POST", test, {})
        self.wait_for(lambda: f"Resolved: {problem}" in arrived.titles("/"), "the end by ntfy")
        self.hub.wait_for(lambda: f"Resolved: {problem}" in self.pushed(browser), "the end by push")
        self.assertEqual(arrived.titles("/").count(problem), 1, "one message a cause")
        self.assertTrue(arrived.logins)
        for path, headers, _ in arrived.requests:
            if path == "/push":
                claims = verified(headers["authorization"], key)
                self.assertEqual(claims["aud"], arrived.url(""))
        self.assertIn("/ping", [path for path, _, _ in arrived.requests])
        self.kept_secret("my-topic", "hook-of-mine", "pass-word-of-mail", "me@x.test", "/push")

    def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        """While somebody uses the hub, which looks for problems less often otherwise."""
        self.hub.wait_for(lambda: self.hub.client.call("GET", "/api/hub") and condition(), what)

    def pushed(self, browser: Browser) -> list[str]:
        bodies = [body for path, _, body in self.services.requests if path == "/push"]
        return [json.loads(browser.decrypted(body))["title"] for body in bodies]

    def operator(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {(self.hub.home / 'operator.token').read_text().strip()}"}

    def kept_secret(self, *secrets: str) -> None:
        """Neither the API nor the disk nor the log shows an address."""
        shown = json.dumps(self.hub.client.call("GET", "/api/notices")) + self.hub.log()
        shown += (self.hub.home / "hub" / "notices.json").read_text()
        shown += json.dumps(self.hub.client.call("GET", "/api/problems"))
        for secret in secrets:
            self.assertNotIn(secret, shown)

    def test_an_address_in_the_private_network_needs_the_owner(self) -> None:
        home, topic = self.hub.home, self.services.url("/topic")
        refused = run(home, "notices", "add", "ntfy", topic)
        self.assertEqual(refused.returncode, 1)
        self.assertEqual(self.services.requests, [])
        added = run(home, "notices", "add", "ntfy", topic, "--private")
        self.assertEqual(added.returncode, 0, added.stderr)
        self.assertIn("1  ntfy  ntfy at 127.0.0.1", run(home, "notices", "list").stdout)
        quiet = run(home, "notices", "quiet", "22:00-07:00", "--zone", "Europe/Berlin")
        self.assertIn("22:00 to 07:00 (Europe/Berlin)", quiet.stdout)
        self.assertEqual(run(home, "notices", "test", "1").returncode, 0)
        self.assertEqual(run(home, "notices", "remove", "1", "--yes").returncode, 0)
        self.assertEqual(self.services.titles("/")[-1], "This destination gets no more notices of your Parachute hub")
        self.assertIn("nowhere", run(home, "notices", "list").stdout)

    def test_a_session_alone_changes_no_destination(self) -> None:
        owner = session_of_owner(self.hub)
        headers = {"Cookie": owner.cookie, "X-Parachute-Key": owner.key, "Origin": self.hub.url}
        body = {"kind": "ntfy", "url": self.services.url("/x"), "private": True}
        refused = fetch(f"{self.hub.url}/api/notices/destinations", method="POST", body=body, headers=headers)
        self.assertEqual(refused.status, 403)
        self.assertEqual(self.services.requests, [])
