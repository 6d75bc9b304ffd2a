"""What is said to wrong and odd words, without a hub: a sentence and an exit code, never a traceback."""

import getpass
import os
import sqlite3
from argparse import Namespace
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.accounts.people import owner_reset
from parachute_hub.accounts.validation import vault_roles
from parachute_hub.cli import sign_in
from parachute_hub.cli.client import CommandError, HubClient, HubRefused
from parachute_hub.cli.completion import installed_modules
from parachute_hub.cli.hub_words import ADDRESS_WORDS
from parachute_hub.cli.kinds import INVITATIONS, PEOPLE, VAULTS
from parachute_hub.cli.main import main
from parachute_hub.cli.people_words import VAULT_WORDS
from parachute_hub.cli.profiles import Held
from parachute_hub.cli.remote import Site
from parachute_hub.cli.request_words import Given
from parachute_hub.site.errors import Refused

_INSTEAD = "Name the hub's folder with --home or PARACHUTE_HOME."


class MistakeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.here = Path(self.mktemp()).absolute()
        self.here.mkdir(parents=True)

    def said(self, *words: str) -> tuple[int, str]:
        """The exit code, and what was written to standard error."""
        errors = StringIO()
        with redirect_stdout(StringIO()), redirect_stderr(errors):
            try:
                code = main([*words, "--home", str(self.here / "home")])
            except SystemExit as end:
                code = int(str(end.code))
        return code, errors.getvalue()

    def test_each_gets_a_sentence(self) -> None:
        other = self.here / "not.pem"
        other.write_bytes(b"\xc3\x28")
        missing = str(self.here / "missing")
        for words, code, sentence in (
            # What a script has in a variable that is not set.
            (("install", ""), 2, "module: it is empty."),
            (("upgrade", ""), 2, "module: it is empty."),
            (("config", "vault", ""), 2, "KEY=VALUE: it is empty."),
            (("people", "remove", "--yes", ""), 2, "person: it is empty."),
            (("tokens", "revoke", "--yes", ""), 2, "token: it is empty."),
            (("address", "set", "--yes", ""), 2, "address: it is empty."),
            (("backup", "destination", "add-folder", ""), 2, "target: it is empty."),
            (("backup", "download", ""), 2, "file: it is empty."),
            (("audit", "export", ""), 2, "file: it is empty."),
            (("export", ""), 2, "folder: it is empty."),
            (("import", ""), 2, "source: it is empty."),
            (("module", "check", ""), 2, "folder: it is empty."),
            # A package, or a folder, in place of a module's name.
            (("upgrade", "@openparachute/vault"), 1, '"@openparachute/vault" cannot be the name of a module.'),
            (("stop", ".."), 1, '".." cannot be the name of a module. `parachute status` shows their names'),
            (("people", "invite", "--days=0"), 2, "--days: '0' is not a number from 1 on."),
            (("tokens", "new", "vault:a:read", "--days=-1"), 2, "--days: '-1' is not a number from 1 on."),
            (("logs", "--lines=x"), 2, "'x' is not a whole number."),
            (("logs", "--lines=-1"), 2, "'-1' is not a number from 1 on."),
            (("backup", "restore", "--yes", missing), 1, f"There is no file {missing}."),
            (
                ("link", "set", "vault", "https://a.test", "--ca", missing),
                2,
                "cannot be read: No such file or directory.",
            ),
            (("link", "set", "vault", "https://a.test", "--ca", str(other)), 2, "is not a certificate in PEM form."),
        ):
            ended, told = self.said(*words)
            self.assertEqual(ended, code, told)
            self.assertIn(sentence, told)

    def test_a_name_that_is_a_path(self) -> None:
        """It is refused here: the hub would speak of a path that nobody has typed."""
        for name in ("../../x", "..", "a/b", "..\\x", "%2e%2e"):
            for words, called in (
                (("restore-data", name, "--yes"), "module"),
                (("delete-data", name, "--yes"), "module"),
                (("link", "set", name, "https://a.test"), "module"),
                (("link", "move", name, "there"), "module"),
                (("link", "renew", name), "module"),
                (("link", "end", name, "--yes"), "module"),
                (("updates", name, "tell"), "module"),
                (("rollback", name), "module"),
                (("config", name), "module"),
                (("settings", "module", name), "module"),
                (("settings", "limits", name, "--memory=256"), "module"),
                (("space", "empty-trash", name, "--yes"), "vault"),
                (("space", "limit-vault", name, "1G"), "vault"),
            ):
                ended, told = self.said(*words)
                self.assertEqual(ended, 1, told)
                self.assertIn(f'"{name}" cannot be the name of a {called}. ', told)

    def test_an_option_that_is_empty(self) -> None:
        """Such as an unset variable, which must not choose another hub, or everything in place of a part."""
        for words, option in (
            (("status", "--home", ""), "--home"),
            (("lock", "--yes", "--hub", ""), "--hub"),
            (("serve", "--listen", ""), "--listen"),
            (("people", "remove", "ada", "--yes", "--give-to", ""), "--give-to"),
            (("backup", "restore", "archive", "--yes", "--vault", ""), "--vault"),
            (("upgrade", "vault", "--version", ""), "--version"),
            (("module", "dev", "--with", ""), "--with"),
            (("login", "hub.test", "--name", ""), "--name"),
        ):
            ended, told = self.said(*words)
            self.assertEqual((ended, told.splitlines()[0]), (2, f"parachute: {option}: it is empty."), words)

    def test_what_cannot_start_is_said_before_anything_does(self) -> None:
        file = self.here / "file"
        file.touch()
        stranger = "~nobody-of-that-name/x"
        for words, sentence in (
            (("serve", "--listen", "tcp:80:foo=bar"), "--listen must be a port"),
            (("serve", "--origin", "https://a:0"), "--origin is not a URL"),
            (("module", "new", "hub"), "hub is kept for the hub."),
            (("module", "new", "clock", "--folder", stranger), "a user who is not known here."),
            (("module", "dev", str(self.here), "--catalog", str(self.here / "none")), "There is no catalog"),
            (("module", "dev", str(file)), "is not a folder."),
            (("module", "test", stranger), "a user who is not known here."),
            (("module", "test", "--hub", "x"), "Use one of them."),
            (("login", "a b"), "a b is not the address of a hub."),
        ):
            ended, told = self.said(*words)
            self.assertEqual(ended, 2, told)
            self.assertIn(sentence, told)

    def test_a_file_in_the_place_of_the_home(self) -> None:
        file = self.here / "home"
        file.touch()
        for words in (("status",), ("lock", "--yes"), ("update",), ("migrate", "--yes"), ("expose", "start", "lan")):
            ended, told = self.said(*words)
            self.assertEqual((ended, told), (2, f"parachute: {file} is a file. {_INSTEAD}\n"))

    def test_nobody_signs_in_for_tokens_that_could_not_be_kept(self) -> None:
        def asked(*_: object) -> Held:
            raise AssertionError("somebody was asked")

        told = {"issuer": "http://127.0.0.1:9", "device_authorization_endpoint": "x"}
        self.patch(Site, "get", lambda site, path: told)
        self.patch(sign_in, "by_device", asked)
        (self.here / "parachute").touch()
        self.patch(os, "environ", {"XDG_CONFIG_HOME": str(self.here)})
        ended, said = self.said("login", "http://127.0.0.1:9", "--device")
        self.assertEqual((ended, said.startswith(f"parachute: {self.here / 'parachute'}")), (1, True), said)
        for name in ("local", "a\nb"):
            ended, said = self.said("login", "http://127.0.0.1:9", "--device", "--name", name)
            self.assertEqual((ended, "Choose another --name." in said), (2, True), said)

    def test_a_database_that_is_in_use(self) -> None:
        busy = sqlite3.OperationalError("database is locked")
        busy.sqlite_errorcode = sqlite3.SQLITE_BUSY

        def refuse(path: Path, **_: object) -> tuple[str, str]:
            raise busy

        self.patch(owner_reset, "reset_owner", refuse)
        (self.here / "home").mkdir()
        (self.here / "home" / "parachute.db").touch()
        told = (1, "parachute: The hub is busy. Try again in a few seconds.\n")
        self.assertEqual(self.said("auth", "reset-owner"), told)

    def test_completion_is_silent_of_what_is_wrong(self) -> None:
        given = Namespace(home="~nobody-of-that-name/x", hub=None)
        self.assertEqual((installed_modules("", given), VAULTS.offered("", given)), ([], []))

    def test_a_share_that_is_none_is_not_ended(self) -> None:
        request = next(one for one in VAULT_WORDS if one.word == "vaults end-share")
        assert request.body is not None
        ada = {"vaults": {"home": "read"}, "own_vaults": []}
        self.assertEqual(request.body(Namespace(vault="home", person="ada"), {"person": ada})["assigned_vaults"], {})
        with self.assertRaises(CommandError) as caught:
            request.body(Namespace(vault="../../x", person="ada"), {"person": ada})
        self.assertIn("../../x is not shared with ada.", str(caught.exception))

    def test_a_hub_of_another_version(self) -> None:
        """It knows less, or tells it in another way."""
        less = HubRefused(404, {"error": "not_found", "error_description": "not found"})
        for answer, said in (({}, "tells no "), (less, "does not know this request.")):

            def answered(*_: object, answer: Any = answer) -> Any:
                if isinstance(answer, Exception):
                    raise answer
                return answer

            self.patch(HubClient, "running", True)
            self.patch(HubClient, "call", answered)
            for words in (
                *(("status",), ("lock", "--yes"), ("expose", "start", "lan"), ("migrate", "--yes"), ("restart", "hub")),
                *(("people", "list"), ("space",), ("logs",), ("upgrade", "--all"), ("updates", "vault", "tell")),
            ):
                ended, told = self.said(*words)
                self.assertEqual(ended, 1, told)
                self.assertIn(f"parachute: The hub {said}", told)
                self.assertIn("parachute restart hub", told)

    def test_an_address_that_is_the_address_already(self) -> None:
        request = next(one for one in ADDRESS_WORDS if one.word == "address plan")
        assert request.act is not None
        same = {"from": "https://a.test", "to": "https://a.test"}
        self.patch(HubClient, "call", lambda *_: same)
        given = Given(arguments=Namespace(address="https://a.test"), client=HubClient(self.here), found={})
        self.assertEqual(request.act(given), (same, "https://a.test is the address already."))

    def test_an_input_that_ends(self) -> None:
        def ended(prompt: str) -> str:
            raise EOFError

        self.patch(getpass, "getpass", ended)
        archive = self.here / "archive"
        archive.write_bytes(b"")
        told = (1, "parachute: The input ended where an answer was needed.\n")
        self.assertEqual(self.said("backup", "restore", "--yes", str(archive)), told)

    def test_what_failed_leaves_no_file_in_the_way(self) -> None:
        target = self.here / "audit"
        for _ in range(2):
            self.assertEqual(self.said("audit", "export", str(target))[0], 3)
            self.assertFalse(target.exists())

    def test_no_name_is_nobodys(self) -> None:
        """One without a name must not be ended by a script whose variable is empty."""
        for kind, item in (
            (PEOPLE, {"id": "1", "username": "ada", "display_name": ""}),
            (INVITATIONS, {"id": "1", "name": "", "username": None}),
        ):
            with self.assertRaises(CommandError) as raised:
                kind.choose([item], "")
            self.assertIn("is empty", str(raised.exception))

    def test_a_role_is_not_blamed_for_the_name_of_a_vault(self) -> None:
        for roles, word in (
            ({"a b": "read"}, "name of a vault"),
            ({"": "read"}, "name of a vault"),
            ({"a1": "x"}, "role"),
        ):
            with self.assertRaises(Refused) as raised:
                vault_roles(roles, {})
            self.assertIn(word, raised.exception.description)
