"""What is said to wrong and odd words, without a hub: a sentence and an exit code, never a traceback."""

import getpass
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.accounts.validation import vault_roles
from parachute_hub.cli.client import CommandError
from parachute_hub.cli.kinds import INVITATIONS, PEOPLE
from parachute_hub.cli.main import main
from parachute_hub.site.errors import Refused


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
            (("upgrade", "@openparachute/vault"), 1, "There is no module @openparachute/vault."),
            (("stop", ".."), 1, "There is no module ..."),
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
