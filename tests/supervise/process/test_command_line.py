"""The command line of a child, and the checks before it."""

import doctest
from pathlib import Path

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.supervise.model import LASTING, CannotLaunch, Launch
from parachute_hub.supervise.process import process_tags
from parachute_hub.supervise.process.command_line import Tools, command, environment, preflight
from parachute_hub.supervise.process.process_tags import ProcessTag, TagFilter, home_hash
from tests.support.processes import no_descriptor_left
from tools import draw_lifecycle

LAUNCH = Launch(short="vault", argv=("/bin/bun", "run"), cwd="/work", env={"PORT": "1"}, port=1, health="/")


class CommandTests(SynchronousTestCase):
    def test_the_command_starts_with_util_linux(self) -> None:
        argv = command(LAUNCH, Tools("/bin/setsid", "/bin/setpriv"))
        self.assertEqual(argv[3:], ("/work", "/bin/setsid", "/bin/setpriv", "--no-new-privs", "--pdeathsig", "KILL",
                                    "--", "/bin/bun", "run"))  # fmt: skip

    def test_without_it_a_session_is_made_all_the_same(self) -> None:
        argv = command(LAUNCH, Tools(None, None))
        self.assertIn("os.setsid()", argv[8])
        self.assertEqual(argv[-2:], ("/bin/bun", "run"))

    def test_nothing_of_the_launch_is_shell_text(self) -> None:
        """A folder or argument with shell characters stays one word."""
        hostile = evolve(LAUNCH, cwd="/a b; rm -rf $HOME", argv=("/bin/x", "$(id)"))
        argv = command(hostile, Tools(None, None))
        self.assertNotIn("rm", argv[2])
        self.assertEqual((argv[3], argv[-1]), ("/a b; rm -rf $HOME", "$(id)"))

    def test_the_process_tag_names_module_hub_and_life(self) -> None:
        """It tells the module, the hub by its home, and the hub's life."""
        self.assertEqual(doctest.testmod(process_tags).failed, 0)
        home = home_hash(Path("/parachute"))
        env = environment(LAUNCH, ProcessTag("vault", home, "1"))
        self.assertEqual(env, {"PORT": "1", "PARACHUTE_SUPERVISED": f"vault:{home}:1"})
        found = env["PARACHUTE_SUPERVISED"]
        self.assertNotEqual(home, home_hash(Path("/elsewhere")))
        for tag_filter, mine in (
            (TagFilter(home), True),
            (TagFilter(home, "vault"), True),
            (TagFilter(home, "scribe"), False),
            (TagFilter(home, other_than="1"), False),
            (TagFilter(home, other_than="2"), True),
            (TagFilter("elsewhere", "vault"), False),
        ):
            self.assertEqual(tag_filter.has(found), mine, tag_filter)
        self.assertFalse(TagFilter(home).has(""))


class PreflightTests(SynchronousTestCase):
    def test_a_program_without_leave_to_run(self) -> None:
        """A missing file and a missing x bit have different errors and remedies."""
        program = Path(self.mktemp()).absolute()
        program.write_text("#!/bin/sh\n")
        launch = evolve(LAUNCH, argv=(str(program),), cwd="/")
        error = self.assertRaises(CannotLaunch, preflight, launch)
        self.assertEqual(error.error_type, "non_executable")
        self.assertIn(f"chmod +x {program}", error.description)
        program.chmod(0o755)
        preflight(launch)

    def test_a_file_that_is_no_program(self) -> None:
        """A shell would run it as a script."""
        program = Path(self.mktemp()).absolute()
        program.write_bytes(b"MZ garbage")
        program.chmod(0o755)
        error = self.assertRaises(CannotLaunch, preflight, evolve(LAUNCH, argv=(str(program),), cwd="/"))
        self.assertEqual(error.to_json()["error_type"], "non_executable")

    def test_a_program_that_cannot_be_read_now(self) -> None:
        """Without a free descriptor nothing can be told of the program, and it may start later."""
        with no_descriptor_left():
            error = self.assertRaises(CannotLaunch, preflight, evolve(LAUNCH, argv=("/bin/sh",), cwd="/"))
        self.assertIn("Too many open files", error.description)
        self.assertNotIn(error.error_type, LASTING)


class DrawingTests(SynchronousTestCase):
    def test_the_page_is_up_to_date(self) -> None:
        """`make lifecycle` after each change of the machine."""
        page = Path(__file__).parents[3] / "docs" / "lifecycle.md"
        self.assertEqual(page.read_text(), draw_lifecycle.page() + "\n")
