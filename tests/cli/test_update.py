"""How the hub was installed, told from what the tools leave behind, and what updates it."""

import json
import sys
from argparse import Namespace
from collections.abc import Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub import __version__
from parachute_hub.cli import service, update
from parachute_hub.cli.client import CommandError, HubClient, HubRefused
from parachute_hub.cli.update import Installed, Traces, how_installed

PYTHON = "/env/bin/python"
GIT = {"url": "https://git.test/hub.git", "vcs_info": {"vcs": "git", "commit_id": "1"}}


def traces(*marks: str, installer: str = "pip", origin: Any = None, **environ: str) -> Traces:
    return Traces(python=PYTHON, marks=frozenset(marks), environ=environ, installer=installer, direct_url=origin)


class HowTests(SynchronousTestCase):
    def test_each_way(self) -> None:
        pip = (PYTHON, "-m", "pip", "install", "--upgrade")
        uv = ("uv", "pip", "install", "--python", PYTHON, "--upgrade")
        by_git = "parachute-hub @ git+https://git.test/hub.git"
        for given, kind, command in (
            (traces(RENDER="true"), "render", ()),
            (traces(FLY_APP_NAME="mine"), "fly", ()),
            (traces(".dockerenv"), "container", ()),
            (traces(".containerenv", "pipx_metadata.json"), "container", ()),
            (traces(origin={"url": "file:///x", "dir_info": {"editable": True}}), "clone", ()),
            (traces("pyvenv.cfg", "pipx_metadata.json"), "pipx", ("pipx", "upgrade", "parachute-hub")),
            (traces("uv-receipt.toml", installer="uv"), "uv tool", ("uv", "tool", "upgrade", "parachute-hub")),
            (traces("pyvenv.cfg", installer="uv"), "uv", (*uv, "parachute-hub")),
            (traces(origin={"url": "file:///x.whl", "archive_info": {}}), "pip", (*pip, "parachute-hub")),
            (traces(origin=GIT), "pip", (*pip, by_git)),
            (
                traces(origin={**GIT, "vcs_info": {"vcs": "git", "requested_revision": "v1"}}),
                "pip",
                (*pip, f"{by_git}@v1"),
            ),
        ):
            self.assertEqual(how_installed(given), Installed(kind=kind, command=command))
            self.assertEqual(kind in update._PLATFORMS, not command)


really_installed = update._version


class UpdateTests(SynchronousTestCase):
    """The command, with an installer and a service that only keep what they are told."""

    def setUp(self) -> None:
        self.ran: list[Sequence[str]] = []
        self.restarts = 0
        self.active = "active"
        self.patch(update, "_run", self.ran.append)
        self.patch(update, "_version", lambda: "99.0.0")
        self.patch(service, "manager", lambda: self)

    def state(self) -> dict[str, str]:
        return {"active": self.active}

    def restart(self) -> None:
        self.restarts += 1

    def hub(self, answer: dict[str, Any] | Exception) -> None:
        """One that runs, and answers this when it is asked to restart in place."""

        def in_place(client: object) -> dict[str, Any]:
            if isinstance(answer, Exception):
                raise answer
            return answer

        self.patch(update, "in_place", in_place)
        self.patch(HubClient, "running", True)

    def update(self, given: Traces, *, yes: bool, code: int = 0) -> dict[str, Any]:
        self.patch(update, "_traces", lambda: given)
        arguments = Namespace(yes=yes, json=True, home=self.mktemp())
        with redirect_stdout(StringIO()) as out:
            self.assertEqual(update.update(arguments), code)
        told: dict[str, Any] = json.loads(out.getvalue())
        return told

    def test_it_is_shown_and_with_yes_it_is_run(self) -> None:
        given = traces("pipx_metadata.json")
        shown = self.update(given, yes=False)
        self.assertEqual(
            (shown["command"], shown["updated"], self.ran), (["pipx", "upgrade", "parachute-hub"], False, [])
        )
        done = self.update(given, yes=True)
        self.assertEqual((done["version"], done["new_version"], done["restarted"]), (__version__, "99.0.0", True))
        self.assertEqual((self.ran, self.restarts), ([("pipx", "upgrade", "parachute-hub")], 1))
        self.active = "inactive"
        self.assertFalse(self.update(given, yes=True)["restarted"])

    def test_a_hub_that_runs_makes_way_in_place(self) -> None:
        """Its service is not restarted, and not either where the new version would not start."""
        given = traces("pipx_metadata.json")
        for answer, restarted in (
            ({"before": __version__, "version": "99.0.0"}, True),
            ({"before": "1.0", "version": "1.0"}, False),
            (HubRefused(409, {"error": "check_failed", "error_description": "It would not start."}), False),
        ):
            self.hub(answer)
            self.assertIs(self.update(given, yes=True)["restarted"], restarted, answer)
        self.assertEqual(self.restarts, 0)

    def test_an_older_hub_is_restarted_by_its_service(self) -> None:
        self.hub(HubRefused(404, {"error": "not_found"}))
        self.assertTrue(self.update(traces("pipx_metadata.json"), yes=True)["restarted"])
        self.assertEqual(self.restarts, 1)

    def test_what_is_updated_elsewhere_is_only_told(self) -> None:
        """Which is no success for a script that asked for an update."""
        for yes in (False, True):
            told = self.update(traces(RENDER="true"), yes=yes, code=int(yes))
            self.assertEqual((told["installed_by"], told["updated"]), ("render", False))
        self.assertEqual(self.ran, [])

    def test_what_cannot_be_a_home_is_said_before_anything_is_changed(self) -> None:
        self.patch(update, "_traces", lambda: traces("pipx_metadata.json"))
        file = Path(self.mktemp())
        file.touch()
        with self.assertRaises(CommandError):
            update.update(Namespace(yes=True, json=True, home=str(file)))
        self.assertEqual(self.ran, [])

    def test_a_version_that_does_not_start_is_told(self) -> None:
        self.patch(sys, "executable", "/bin/false")
        with self.assertRaises(CommandError) as caught:
            really_installed()
        self.assertIn(f"stays at {__version__}", str(caught.exception))

    def test_the_newest_restarts_nothing(self) -> None:
        self.patch(update, "_version", lambda: __version__)
        self.assertEqual(self.update(traces("uv-receipt.toml"), yes=True)["updated"], False)
        self.assertEqual(self.restarts, 0)
