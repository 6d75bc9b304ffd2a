"""Passkeys in Chromium, with its virtual authenticator: adding, signing in, second factor, confirming, removing."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Page, expect
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.accounts.passkeys.policy import read_answer
from parachute_hub.accounts.passkeys.worker import verify
from tests.browser.browser import DESK, PHONE, chromium, findings, picture, wider_than_the_window, window
from tests.browser.door import claim, open_door, sign_in
from tests.requirements import program, requires
from tests.support.authenticator import Authenticator

PASSWORD = "three small paper boats"
_DEVICE = {
    "protocol": "ctap2",
    "ctap2Version": "ctap2_1",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
}
# A browser that suggests no passkeys.
_NO_SUGGESTIONS = "PublicKeyCredential.isConditionalMediationAvailable = async () => false"
# What a page asks its browser for, and how each request ended, as an attribute of its document.
_RECORD = """
const requests = []
const show = () => {
  const words = requests.map((one) => `${one.mediation}:${one.end}`)
  document.documentElement.dataset.requests = words.join(" ")
}
const get = navigator.credentials.get.bind(navigator.credentials)
navigator.credentials.get = (options) => {
  const one = { mediation: options.mediation ?? "optional", end: "waits" }
  requests.push(one)
  show()
  const answer = get(options)
  answer.catch((failure) => { one.end = failure.name; show() })
  return answer
}
"""


class Device:
    """The authenticator of a page's browser. While it is absent, nobody presses anything."""

    def __init__(self, page: Page) -> None:
        self._cdp: Any = page.context.new_cdp_session(page)
        self._cdp.send("WebAuthn.enable", {"enableUI": False})
        self._id = self._cdp.send("WebAuthn.addVirtualAuthenticator", {"options": _DEVICE})["authenticatorId"]

    def present(self, there: bool) -> None:
        told = {"authenticatorId": self._id, "enabled": there}
        self._cdp.send("WebAuthn.setAutomaticPresenceSimulation", told)

    def credentials(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._cdp.send("WebAuthn.getCredentials", {"authenticatorId": self._id})[
            "credentials"
        ]
        return found


@requires(program("chromium"))
class PasskeyTests(SynchronousTestCase):
    @contextmanager
    def owner(self) -> Iterator[tuple[str, Page, Device]]:
        """An owner at http://localhost with a passkey."""
        with open_door(named=True) as (url, token), chromium() as browser, window(browser) as (_, page):
            device = Device(page)
            claim(page, f"{url}/admin/setup", token, PASSWORD)
            page.goto(f"{url}/account/passkeys")
            page.get_by_label("Your password").fill(PASSWORD)
            page.get_by_label("Name").fill("Laptop")
            page.get_by_role("button", name="Add a passkey").click()
            expect(page.get_by_role("heading", name="Laptop")).to_be_visible()
            yield url, page, device

    def look(self, page: Page, name: str) -> None:
        for size in (PHONE, DESK):
            page.set_viewport_size(size)  # type: ignore[arg-type]
            self.assertFalse(wider_than_the_window(page), (name, size))
            self.assertEqual(findings(page, every=True), [], (name, size))
            picture(page, f"passkeys-{name}-{size['width']}")

    def test_suggested_at_sign_in_and_used_by_its_button(self) -> None:
        with self.owner() as (url, page, device):
            self.assertEqual([one["rpId"] for one in device.credentials()], ["localhost"])
            self.look(page, "list")
            device.present(False)
            page.goto(f"{url}/account")
            page.get_by_role("button", name="Sign out").click()
            expect(page.get_by_role("button", name="Use a passkey")).to_be_visible()
            self.look(page, "login")
            page.goto("about:blank")
            device.present(True)
            page.goto(f"{url}/login", wait_until="commit")
            page.wait_for_url(lambda place: place.startswith(url) and "/login" not in place)
            page.goto(f"{url}/account/sessions")
            self.look(page, "sessions")
            page.add_init_script(_NO_SUGGESTIONS)
            page.goto(f"{url}/login?again=1")
            page.get_by_role("button", name="Use a passkey").click()
            page.wait_for_url(lambda place: "/login" not in place)

    def test_pressing_the_button_ends_what_waits(self) -> None:
        """The browser takes one request at a time: the suggestion, and a dialog that is asked for twice."""
        with self.owner() as (url, page, device):
            device.present(False)
            page.add_init_script(_RECORD)
            page.goto(f"{url}/login?again=1")
            document, button = page.locator("html"), page.get_by_role("button", name="Use a passkey")
            told = ["conditional:waits"]
            expect(document).to_have_attribute("data-requests", " ".join(told))
            for _ in range(2):
                button.click()
                told[-1] = told[-1].replace("waits", "AbortError")
                told.append("optional:waits")
                expect(document).to_have_attribute("data-requests", " ".join(told))
            expect(page.get_by_role("alert")).to_have_count(0)

    def test_second_factor_confirming_and_removing(self) -> None:
        with self.owner() as (url, page, device):
            page.goto(f"{url}/account/2fa")
            page.get_by_role("button", name="Use a passkey instead").click()
            expect(page.get_by_text("Confirmed with your passkey.")).to_be_visible()
            self.look(page, "confirmed")
            page.get_by_role("button", name="Use my passkeys").click()
            expect(page.locator(".codes code")).to_have_count(10)
            page.goto(f"{url}/account/passkeys")
            # The device has one: that is said each time, and the page goes on working.
            page.get_by_role("button", name="Use a passkey instead").click()
            alert = page.get_by_role("alert")
            expect(alert).to_contain_text("has a passkey for this account")
            page.evaluate("document.querySelector('.message.bad').textContent = ''")
            page.get_by_role("button", name="Add a passkey").click()
            expect(alert).to_contain_text("has a passkey for this account")
            page.get_by_role("link", name="Change Laptop").click()
            self.look(page, "one")
            page.get_by_role("button", name="Use a passkey instead").click()
            expect(page.get_by_text("Confirmed with your passkey.")).to_be_visible()
            page.get_by_role("button", name="Remove it").click()
            expect(page.get_by_role("alert")).to_contain_text("your second factor")
            device.present(False)
            page.goto(f"{url}/account")
            page.get_by_role("button", name="Sign out").click()
            sign_in(page, PASSWORD)
            expect(page.get_by_role("button", name="Use your passkey")).to_be_visible()
            self.look(page, "second")
            device.present(True)
            page.get_by_role("button", name="Use your passkey").click()
            page.wait_for_url(lambda place: "/login" not in place)

    def test_on_a_number_the_page_leads_to_the_name(self) -> None:
        with self.owner() as (url, page, device):
            device.present(False)
            page.goto(f"{url.replace('localhost', '127.0.0.1')}/login")
            page.get_by_text("Do you have a passkey?").click()
            self.look(page, "number")
            page.get_by_role("link", name=url).click()
            page.wait_for_url(lambda place: "localhost" in place)

    def test_the_software_authenticator_answers_as_chromium_does(self) -> None:
        """What tests elsewhere rely on: the same members, and the same way of writing them."""
        create = {
            "rp": {"id": "localhost", "name": "x"},
            "user": {"id": "YWRh", "name": "ada", "displayName": "Ada"},
            "challenge": "AAAA",
            "pubKeyCredParams": [{"type": "public-key", "alg": -7}],
            "excludeCredentials": [],
            "authenticatorSelection": {"residentKey": "required", "userVerification": "required"},
        }
        get = {"challenge": "BBBB", "rpId": "localhost", "allowCredentials": [], "userVerification": "required"}
        script = """async ([create, get]) => {
            const made = await navigator.credentials.create({
                publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(create)})
            const signed = await navigator.credentials.get({
                publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(get)})
            return [JSON.stringify(made), JSON.stringify(signed)]
        }"""
        with open_door(named=True) as (url, _), chromium() as browser, window(browser) as (_, page):
            Device(page)
            page.goto(f"{url}/signup")
            theirs = page.evaluate(script, [create, get])
        device = Authenticator(url)
        ours = [device.create(create), device.get(get)]
        for one, other in zip(theirs, ours, strict=True):
            left, right = json.loads(one), json.loads(other)
            self.assertEqual({name for name in left if left[name] is not None}, set(right))
            # Chromium adds what the hub does not read.
            self.assertLessEqual(set(right["response"]), set(left["response"]))
            for found in (left, right):
                self.assertEqual(found["id"], found["rawId"])
        self.both_verify(url, theirs)
        self.both_verify(url, ours)

    def both_verify(self, url: str, answers: list[str]) -> None:
        made, signed = answers
        self.assertEqual(read_answer(signed, kind="webauthn.get", origin=url).user_handle, "ada")
        place = {"rp_id": "localhost", "origin": url, "verified": True}
        added = verify({"kind": "webauthn.create", "credential": made, "challenge": "AAAA", **place})
        self.assertTrue(added["good"], added)
        used = verify(
            {
                "kind": "webauthn.get",
                "credential": signed,
                "challenge": "BBBB",
                "public_key": added["public_key"],
                **place,
            }
        )
        self.assertTrue(used["good"], used)
