"""Two people in two browsers: sharing one's own vault, what becomes of a vault, and room."""

import os
import re

from playwright.sync_api import Page, expect

from tests.browser.browser import until
from tests.browser.test_friends import FRIEND, FRIENDS_PASSWORD, FriendsCase
from tests.live.harness import fetch, session_of_owner


class OwnVaultsCase(FriendsCase):
    """A friend who has joined."""

    def setUp(self) -> None:
        super().setUp()
        self.friend = self.new_browser()
        self.join(self.friend, self.invite(FRIEND))

    def token(self, name: str, vault: str, verb: str) -> str:
        """A token that somebody makes for a vault."""
        kept = session_of_owner(self.hub, name, FRIENDS_PASSWORD)
        csrf = fetch(f"{self.hub.url}/api/me", headers={"Cookie": kept.cookie}).json()["csrf"]
        headers = {"Cookie": kept.cookie, "X-Parachute-CSRF": csrf, "X-Parachute-Key": kept.key}
        headers |= {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": "empty"}
        scope = f"vault:{vault}:{verb}"
        proof = fetch(
            f"{self.hub.url}/api/account/step-up",
            method="POST",
            headers=headers,
            body={"operation": f"token.mint:{scope}", "password": FRIENDS_PASSWORD},
        ).json()["proof"]
        minted = fetch(
            f"{self.hub.url}/api/auth/mint-token",
            method="POST",
            headers={**headers, "X-Parachute-Proof": proof},
            body={"scope": scope},
        )
        return str(minted.json().get("token", minted.status))

    def notes(self, token: str, vault: str, method: str = "GET", body: object = None) -> int:
        headers = {"Authorization": f"Bearer {token}"}
        return fetch(f"{self.hub.url}/vault/{vault}/api/notes", method=method, headers=headers, body=body).status

    def connect_notes(self, page: Page) -> None:
        page.goto(f"{self.hub.url}/notes")
        page.get_by_role("button", name="Connect").click()
        page.get_by_role("button", name="Allow", exact=True).click()
        expect(page.get_by_role("button", name="New note")).to_be_visible()


class SharingTests(OwnVaultsCase):
    def test_a_friend_shares_a_vault_and_takes_it_back(self) -> None:
        kim = self.new_browser()
        self.join(kim, self.invite("Kim"))
        page = self.friend
        page.goto(f"{self.hub.url}/account")
        page.get_by_role("link", name="Show sharing").click()
        page.get_by_label("Their username").fill("nobody")
        page.get_by_label("Your password").fill(FRIENDS_PASSWORD)
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("Nobody here signs in as “nobody”")
        page.get_by_label("Their username").fill("kim")
        page.get_by_label("They may").select_option(label="read")
        page.get_by_label("Your password").fill(FRIENDS_PASSWORD)
        page.get_by_role("button", name="Share").click()
        expect(page.get_by_text("May read", exact=True)).to_be_visible()
        self.look(page, "sharing")
        kim.goto(f"{self.hub.url}/account")
        expect(kim.get_by_role("main")).to_contain_text("jurgen")
        held = self.token("kim", "jurgen", "read")
        self.assertEqual(self.notes(held, "jurgen"), 200)
        self.assertIn(self.notes(held, "jurgen", "POST", {"content": "mine"}), (401, 403))
        self.assertNotIn("eyJ", self.token("kim", "jurgen", "write"))
        page.get_by_role("button", name="End sharing jurgen with Kim").click()
        expect(page.get_by_text("May read", exact=True)).to_have_count(0)
        self.assertIn(self.notes(held, "jurgen"), (401, 403))
        kim.reload()
        expect(kim.get_by_role("main")).not_to_contain_text("jurgen")
        # Nor does a writer get the verb that makes keys.
        page.get_by_label("Their username").fill("kim")
        page.get_by_label("They may").select_option(label="read and write")
        page.get_by_label("Your password").fill(FRIENDS_PASSWORD)
        page.get_by_role("button", name="Share").press("Enter")
        expect(page.get_by_text("May read and write", exact=True)).to_be_visible()
        self.assertEqual(self.notes(self.token("kim", "jurgen", "write"), "jurgen", "POST", {"content": "ours"}), 201)
        self.assertNotIn("eyJ", self.token("kim", "jurgen", "admin"))


class DeletionTests(OwnVaultsCase):
    def test_a_removed_friends_vault_can_be_kept_after_all(self) -> None:
        page = self.owner
        page.reload()
        page.get_by_text(f"Change or remove {FRIEND}").click()
        page.get_by_label("Their vaults").locator("visible=true").select_option(label="delete after 30 days")
        self.look(page, "remove-and-delete")
        page.get_by_role("button", name=f"Remove {FRIEND}").click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("What is theirs alone is deleted in 30 days: jurgen.")
        dialog.get_by_role("button", name="Remove", exact=True).click()
        self.confirm(page)
        expect(page.get_by_role("heading", name=FRIEND)).to_have_count(0)
        self.friend.goto(f"{self.hub.url}/account")
        self.friend.wait_for_url("**/login**")
        page.get_by_role("link", name="Vaults", exact=True).click()
        told = page.get_by_text(f"{FRIEND}'s vault will be deleted on")
        expect(told).to_be_visible()
        self.look(page, "leaving-vault")
        page.get_by_role("button", name="Keep it after all").press("Enter")
        expect(told).to_have_count(0)
        page.reload()
        expect(page.get_by_role("heading", name="jurgen")).to_be_visible()
        expect(told).to_have_count(0)
        page.locator("section", has=page.get_by_role("heading", name="jurgen")).get_by_text("Delete this vault").click()
        page.get_by_role("button", name="Delete jurgen in 30 days").click()
        page.get_by_role("dialog").get_by_role("button", name="Delete in 30 days").click()
        self.confirm(page)
        expect(page.get_by_role("button", name="Keep it after all")).to_be_visible()


class RoomTests(OwnVaultsCase):
    def test_a_full_vault_says_what_to_do_and_loses_nothing(self) -> None:
        page, friend = self.owner, self.friend
        self.connect_notes(friend)
        self.hub.client.call("PUT", "/vaults/jurgen/quota", {"bytes": 4096})
        self.held = self.token("jurgen", "jurgen", "write")
        self.hub.wait_for(self.is_full, "the vault to be full")
        friend.get_by_role("button", name="New note").click()
        expect(friend.get_by_label("Title")).to_be_focused()
        friend.keyboard.press("Enter")
        expect(friend.locator(".cm-content")).to_be_focused()
        friend.keyboard.insert_text("A note for later")
        expect(friend.get_by_role("note")).to_contain_text("The vault jurgen has no room for this")
        expect(friend.locator("#status")).to_have_text("1 note not on your hub yet")
        self.look(friend, "no-room")
        (person,) = [one for one in self.hub.client.call("GET", "/api/users")["users"] if one["role"] == "member"]
        self.hub.client.call("PUT", f"/api/users/{person['id']}/quota", {"bytes": 500 << 20})
        logs = self.hub.home / "hub" / "logs"
        (logs / "old.log.1").write_bytes(os.urandom(3 << 20))
        page.goto(f"{self.hub.url}/admin/space")
        expect(page.get_by_text("Full", exact=True)).to_be_visible()
        expect(page.get_by_text(f"It belongs to {FRIEND}.")).to_be_visible()
        self.look(page, "room")
        page.get_by_role("button", name="Clear older logs").press("Enter")
        expect(page.get_by_role("button", name="Clear older logs")).to_have_count(0)
        self.assertFalse((logs / "old.log.1").exists())
        page.get_by_role("button", name="Empty trash of jurgen").click()
        page.get_by_role("dialog").get_by_role("button", name="Empty trash").click()
        expect(page.get_by_text("The trash of jurgen is empty")).to_be_visible()
        page.get_by_text("Limit jurgen").click()
        page.get_by_label("Storage for jurgen").select_option(label="no limit")
        page.get_by_role("button", name="Save limit").locator("visible=true").click()
        expect(page.get_by_text("Full", exact=True)).to_have_count(0)
        friend.reload()
        # It may have been sent before the page was loaded anew: then the page says nothing.
        until(friend, lambda: self.contents() == ["A note for later"], "the note on the hub")
        expect(friend.locator("#status")).to_have_text(re.compile("^(Saved)?$"))

    def contents(self) -> list[str]:
        """The texts in the friend's vault."""
        notes = f"{self.hub.url}/vault/jurgen/api/notes?include_content=true"
        found = fetch(notes, headers={"Authorization": f"Bearer {self.held}"}).json()
        return [note["content"] for note in found]

    def is_full(self) -> bool:
        """Whether the hub has measured the vault."""
        headers = {"Authorization": f"Bearer {self.held}"}
        return fetch(f"{self.hub.url}/vault/jurgen/api/tags", method="POST", headers=headers, body={}).status == 507
