"""The setup token, and owners from the environment."""

import os

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.accounts.setup import bootstrap
from parachute_hub.accounts.setup.bootstrap import BootstrapToken
from parachute_hub.settings import InitialAdmin
from tests.accounts.doors import DoorCase
from tests.support.front_door import PASSWORD, BrowserTab, FrontDoor


class TokenTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.now = 1000.0
        self.token = BootstrapToken(os.urandom, lambda: self.now)

    def test_the_token_has_256_bits_and_a_prefix(self) -> None:
        """256 bits, in the older hub's format."""
        self.assertRegex(self.token.value, r"^parachute-bootstrap-[A-Za-z0-9_-]{43}$")
        self.assertNotEqual(self.token.value, BootstrapToken(os.urandom, lambda: 0.0).value)

    def test_only_the_exact_token_is_accepted(self) -> None:
        self.assertTrue(self.token.accepts(self.token.value))
        self.assertTrue(self.token.accepts(f" {self.token.value}\n"))
        for wrong in ("", "parachute-bootstrap-", self.token.value[:-1], self.token.value.upper(), "é"):
            self.assertFalse(self.token.accepts(wrong))

    def test_the_token_expires_after_a_day(self) -> None:
        self.now += 24 * 3600 - 1
        self.assertTrue(self.token.accepts(self.token.value))
        self.now += 1
        self.assertTrue(self.token.expired)
        self.assertFalse(self.token.accepts(self.token.value))

    def test_the_token_works_once(self) -> None:
        self.token.spend()
        self.assertFalse(self.token.accepts(self.token.value))

    def test_wrong_tokens_delay_the_guesser_not_the_owner(self) -> None:
        """Guessing is throttled; the right token always works."""
        for _ in range(bootstrap.FREE_TRIES):
            self.token.accepts("guess")
        self.assertEqual(self.token.wait(), 0.0)
        self.token.accepts("guess")
        self.assertEqual(self.token.wait(), bootstrap.TRIES_WINDOW)
        self.assertTrue(self.token.accepts(self.token.value))
        self.now += bootstrap.TRIES_WINDOW
        self.assertEqual(self.token.wait(), 0.0)

    def test_memory_is_bounded(self) -> None:
        for _ in range(5000):
            self.token.accepts("guess")
            self.token.wait()
        self.assertLessEqual(len(self.token._wrong._used[""]), bootstrap.FREE_TRIES + 1)


class BannerTests(SynchronousTestCase):
    def test_the_banner_names_address_and_token(self) -> None:
        lines = bootstrap.banner("http://127.0.0.1:1939", "parachute-bootstrap-x")
        self.assertTrue(all(line.startswith("[wizard]") for line in lines))
        self.assertIn("[wizard]   http://127.0.0.1:1939/admin/setup#parachute-bootstrap-x", lines)
        self.assertIn("At http://127.0.0.1:1939/admin/setup you can also type it.", "\n".join(lines))


class SeedTests(DoorCase):
    def boot_with(self, username: str, password: str) -> tuple[str, ...]:
        return tuple(self.now(self.door.accounts.boot(InitialAdmin(username=username, password=password), None)))

    def test_an_owner_from_the_dashboard(self) -> None:
        self.assertEqual(self.boot_with("ada", PASSWORD), ())
        self.sign_in()
        self.assertEqual(self.answer.header("location"), "/admin/")

    def test_never_over_an_existing_owner(self) -> None:
        self.boot_with("ada", PASSWORD)
        self.boot_with("eve", "another four small words")
        self.assertEqual([user.username for user in self.door.accounts.people.all()], ["ada"])

    def test_a_weak_password_must_be_changed(self) -> None:
        self.boot_with("ada", "secret")
        self.sign_in(password="secret")
        self.assertEqual(self.answer.header("location"), "/account/change-password")

    def test_an_impossible_name_leaves_the_token(self) -> None:
        self.assertNotEqual(self.boot_with("a b", PASSWORD), ())
        self.assertTrue(self.door.accounts.gate.closed)

    def test_the_accounts_of_an_older_hub_come_first(self) -> None:
        """An owner from the environment would keep them from moving in."""
        self.door.close()
        self.door = FrontDoor(older_hub=True)
        lines = "\n".join(self.boot_with("ada", PASSWORD))
        self.assertIn("you can move in", lines)
        self.assertEqual(self.door.accounts.people.all(), [])

    def test_a_new_token_at_each_boot_until_there_is_an_owner(self) -> None:
        first, second = self.boot(), self.boot()
        self.assertNotEqual(first, second)
        tab = BrowserTab(self.door)
        self.assertEqual(self.claim(tab, first).status, 401)
        self.assertEqual(self.claim(tab, second).status, 303)
        self.assertEqual(self.now(self.door.accounts.boot(None, None)), ())


class ResetTests(DoorCase):
    def test_reset_by_variable_works_once(self) -> None:
        """The variable stays set on the platform: the same value does nothing at the next boot."""
        old = self.owner()
        self.enrol(old)
        self.now(self.door.accounts.boot(None, "a new way into this hub"))
        self.assertFalse(old.get_json("/api/me")["hasSession"])
        tab = self.sign_in(password="a new way into this hub")
        self.assertEqual(self.answer.header("location"), "/account/change-password")
        tab.get("/account/change-password")
        fields = {"current_password": "a new way into this hub", "new_password": "my very own words"}
        changed = tab.post("/account/change-password", {**fields, "new_password_confirm": "my very own words"})
        self.assertEqual(changed.status, 303)
        self.now(self.door.accounts.boot(None, "a new way into this hub"))
        self.sign_in(password="my very own words")
        self.assertEqual(self.answer.header("location"), "/admin/")

    def test_a_bad_value_changes_nothing(self) -> None:
        self.owner()
        self.now(self.door.accounts.boot(None, "short"))
        self.sign_in()
        self.assertEqual(self.answer.status, 303)

    def test_without_an_owner_there_is_nothing_to_reset(self) -> None:
        self.assertNotEqual(tuple(self.now(self.door.accounts.boot(None, "a new way into this hub"))), ())
