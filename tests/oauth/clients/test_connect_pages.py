from tests.oauth.flows import FlowCase
from tests.support.oauth import ISSUER


class ConnectTests(FlowCase):
    def setUp(self) -> None:
        super().setUp()
        self.world.add_user("member", vaults={"work": "read"})
        self.world.add_user("guest", vaults={})

    def test_each_assistant_has_a_page_with_what_to_copy(self) -> None:
        listed = self.send("GET", "/account/connect", who="owner").text
        for place, words in (
            ("claude", "https://claude.ai/customize/connectors"),
            ("claude-code", "claude mcp add --transport http parachute https://hub.test/vault/default/mcp"),
            ("cursor", "cursor://anysphere.cursor-deeplink/mcp/install?name=parachute&amp;config="),
            ("codex", "codex mcp login parachute"),
            ("other", "https://hub.test/vault/default/mcp"),
        ):
            self.assertIn(f'href="/account/connect/{place}"', listed)
            page = self.send("GET", f"/account/connect/{place}", who="owner")
            self.assertEqual(page.status, 200)
            self.assertIn(words, page.text, place)
            self.assertIn("QR code of https://hub.test/vault/default/mcp", page.text)
        self.assertEqual(self.send("GET", "/account/connect/clippy", who="owner").status, 404)

    def test_people_connect_only_their_own_vaults(self) -> None:
        """The chosen one is kept from page to page."""
        page = self.send("GET", "/account/connect/codex", who="member").text
        self.assertIn("codex mcp add parachute-work --url https://hub.test/vault/work/mcp", page)
        self.assertNotIn("Which vault", page)
        for path in ("codex?vault=default", "codex/sign?vault=default"):
            self.assertEqual(self.send("GET", f"/account/connect/{path}", who="member").status, 404, path)
        self.assertIn(
            "/account/connect/codex?vault=work", self.send("GET", "/account/connect?vault=work", who="owner").text
        )
        self.assertIn("vault=work", self.send("GET", "/account/connect/codex?vault=work", who="owner").text)
        for path in ("", "/codex"):
            page = self.send("GET", f"/account/connect{path}", who="guest").text
            self.assertIn("You have no vault yet", page)
        self.assertEqual(self.send("GET", "/account/connect/codex/sign", who="guest").status, 404)

    def test_strangers_sign_in_first(self) -> None:
        for path in ("/account/connect", "/account/connect/codex", "/account/connect/codex/sign"):
            self.assertEqual(self.send("GET", path).location, f"/login?next={path}")

    def test_the_sign_is_about_this_assistant_and_vault_and_ends_with_the_connection(self) -> None:
        def sign(assistant: str, vault: str = "default", who: str = "owner") -> tuple[bool, str]:
            told = self.send("GET", f"/account/connect/{assistant}/sign?vault={vault}", who=who).json
            return told["connected"], told["text"]

        waits = (False, "This page shows when Codex is connected.")
        self.assertEqual(sign("codex"), waits)
        client_id = self.approved(client_name="Codex")
        self.connect(client_id)
        self.assertEqual(sign("codex"), (True, "Codex may use the vault default."))
        self.assertEqual(sign("other"), (True, "Codex may use the vault default."))
        self.assertEqual(sign("codex", "work"), waits)
        self.assertEqual(sign("codex", "work", "member"), waits)
        self.assertFalse(sign("cursor")[0])
        self.assertIn("Connected", self.send("GET", "/account/connect", who="owner").text)
        self.send("POST", "/api/apps/disconnect", data={"client_id": client_id}, who="owner")
        self.assertEqual(sign("codex"), waits)

    def test_a_module_of_this_hub_is_no_other_app(self) -> None:
        """Notes connects by itself; the page waits for the app that somebody connects by its steps."""
        back = f"{ISSUER}/notes/oauth/callback"
        notes = self.register(back, client_name="Parachute Notes")["client_id"]
        code = self.code(notes, redirect_uri=back)
        self.assertEqual(self.redeem(notes, code, redirect_uri=back).status, 200)
        told = self.send("GET", "/account/connect/other/sign?vault=default", who="owner").json
        self.assertEqual((told["connected"], told["text"]), (False, "This page shows when the app is connected."))

    def test_an_address_at_home_is_no_use_to_an_assistant_on_the_internet(self) -> None:
        words = "reaches your hub from the internet"
        self.assertNotIn(words, self.send("GET", "/account/connect/claude", who="owner").text)
        self.world.issuer.move("http://192.168.1.5:1939", [])
        for who, way in (("owner", "/admin/settings/reach"), ("member", "Ask the owner of this hub")):
            page = self.send("GET", "/account/connect/claude", who=who).text
            self.assertIn(words, page)
            self.assertIn(way, page)
            # It is said once, and a QR code of this address would help nobody.
            self.assertNotIn("QR code", page)
        self.assertNotIn(words, self.send("GET", "/account/connect/codex", who="owner").text)

    def test_an_address_of_this_computer_is_no_use_to_a_phone(self) -> None:
        words = "works only on this computer"
        for origin in ("http://127.0.0.1:1939", "http://localhost:1939", "http://192.168.1.5:1939"):
            self.world.issuer.move(origin, [])
            here = "192" not in origin
            for who, way in (("owner", "/admin/settings/reach"), ("member", "ask the person who runs this hub")):
                page = self.send("GET", "/account/connect/codex", who=who).text
                self.assertEqual(("QR code" in page, words in page, way in page), (not here, here, here), origin)
