"""Allowed names and passwords, as tables."""

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.accounts import validation
from parachute_hub.site.errors import Refused


class UsernameTests(SynchronousTestCase):
    def test_names_and_passwords_follow_the_rules(self) -> None:
        """Name, whether anyone may have it, whether the owner may."""
        for name, anybody, owner in (
            ("ada", True, True),
            ("Ada.L-1_x", True, True),
            ("x" * 64, True, True),
            ("a", False, False),
            ("x" * 65, False, False),
            ("", False, False),
            (".ada", False, False),
            ("ada lovelace", False, False),
            ("ada\n", False, False),
            ("ädä", False, False),
            ("groß", False, False),
            ("<b>x", False, False),
            ("admin", False, True),
            ("Root", False, True),
            ("operator", False, False),
            ("HUB", False, False),
        ):
            self.assertEqual(validation.username_problem(name) is None, anybody, name)
            self.assertEqual(validation.username_problem(name, owner=True) is None, owner, name)


class PasswordTests(SynchronousTestCase):
    def test_names_and_passwords_follow_the_rules(self) -> None:
        for password, good in (
            ("three small paper boats", True),
            ("Tr0ub4dor&3xyz", True),
            ("93847561029384", True),
            ("пароль из слов", True),
            ("short", False),
            ("elevenchars", False),
            ("x" * 257, False),
            ("aaaaaaaaaaaaaaa", False),
            ("passwordpassword", False),
            ("Password2026!", False),
            ("1234567890123", False),
            ("parachute1234", False),
            ("qwertyuiop12", False),
            ("adalovelace12", False),
        ):
            self.assertEqual(validation.password_problem(password, username="adalovelace") is None, good, password)


class VaultTests(SynchronousTestCase):
    def test_vault_names_follow_the_module(self) -> None:
        """As the vault module: otherwise it starts without a vault and the hub reports it as installed."""
        for name, good in (
            *(("default", True), ("my-notes_2", True), ("2nd", True)),
            *(("x", False), ("Admin", False), ("new", False), ("-x", False), ("_x", False)),
        ):
            self.assertEqual(validation.vault_name_problem(name) is None, good, name)

    def test_a_list_keeps_roles(self) -> None:
        """Listing a person's vaults again does not turn read into write."""
        self.assertEqual(validation.vault_roles(["a", "b"], {"a": "read"}), {"a": "read", "b": "write"})

    def test_a_mapping_says_it_all(self) -> None:
        self.assertEqual(validation.vault_roles({"a": "read"}, {"a": "write"}), {"a": "read"})

    def test_malformed_roles_are_refused(self) -> None:
        for wrong in (None, "a", 3, [1], {"a": "admin"}, {"a/b": "read"}, {"a": None}):
            self.assertEqual(self.assertRaises(Refused, validation.vault_roles, wrong, {}).status, 400)
