"""Which modules are confined, by which rules, and how an existing module is tried first."""

import json
from pathlib import Path
from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.confinement.rules import Rules
from parachute_hub.modules.definition.model import Dependency, Manifest
from parachute_hub.modules.definition.permissions import Permissions
from parachute_hub.modules.launch.fence import CANNOT, LaunchedModule, ModuleFence
from parachute_hub.modules.launch.launcher import ModuleLauncher
from parachute_hub.modules.launch.views import Views
from parachute_hub.supervise.model import CannotLaunch, Isolation, LastExit, ModuleState, Status
from tests.modules.homes import TOY, Home, package, put, write
from tests.support.at_once import at_once

BUN = Path("/opt/bun/bin/bun")


class FenceCase(SynchronousTestCase):
    exits = 0

    def setUp(self) -> None:
        self.home = Home(str(Path(self.mktemp()).absolute()))
        self.home.register()
        put(self.home.store, "toy", package(), "1.0.0")
        self.home.store.activate("toy", "@toys/toy", "1.0.0")
        self.told: list[str] = []
        self.fence = self.made()

    def made(self, **options: Any) -> ModuleFence:
        given: dict[str, Any] = {"mode": "auto", "abi": 7, **options}
        return ModuleFence(
            hub_port=1939,
            directory=self.home.directory,
            views=Views(home=self.home.path, directory=self.home.directory),
            notice=self.told.append,
            **given,
        )

    def launcher(self, fence: ModuleFence) -> ModuleLauncher:
        return ModuleLauncher(
            directory=self.home.directory,
            around=self.home.around,
            find_bun=lambda: BUN,
            fence=fence,
        )


class FenceTests(FenceCase):
    def test_each_mode_confines_or_refuses(self) -> None:
        for mode, abi, wanted in (
            ("auto", 7, "on"),
            ("required", 7, "on"),
            ("auto", 4, "partly"),
            ("auto", 0, "off"),
            ("off", 7, "off"),
        ):
            self.assertEqual(self.made(mode=mode, abi=abi).isolation("toy").state, wanted, (mode, abi))
        self.assertEqual(self.made(abi=0).isolation("toy").why, CANNOT)
        with self.assertRaises(CannotLaunch) as caught:
            self.made(mode="required", abi=0).isolation("toy")
        self.assertEqual(caught.exception.error_type, "not_isolated")

    def test_a_confined_launch(self) -> None:
        launch = at_once(self.launcher(self.fence).launch("toy"))
        view = self.home.path / "hub" / "views" / "toy"
        self.assertEqual((launch.env["HOME"], launch.env["PARACHUTE_HOME"]), (str(view), str(view)))
        self.assertEqual((launch.env["BUN_INSTALL"], launch.env["TMPDIR"]), (str(view / ".bun"), str(view / "tmp")))
        assert launch.rules is not None and launch.isolation is not None
        self.assertEqual(launch.isolation.state, "on")
        self.assertEqual(set(launch.rules.writes), {str(self.home.path / "toy"), str(view)})
        self.assertEqual(launch.rules.bind, (2711,))
        store = self.home.path / "modules" / "store" / "toy" / "1.0.0"
        inside = [path for path in launch.rules.reads if path.startswith(str(self.home.path))]
        self.assertEqual(inside, [str(store / "node_modules" / "@toys" / "toy"), str(store)])
        self.assertEqual(launch.rules.lists, ())

    def test_a_launch_that_is_not_confined_is_as_ever(self) -> None:
        launch = at_once(self.launcher(self.made(abi=0)).launch("toy"))
        self.assertEqual((launch.rules, launch.env["HOME"]), (None, str(self.home.path)))
        assert launch.isolation is not None
        self.assertEqual(launch.isolation.why, CANNOT)

    def test_an_env_file_that_is_a_link_is_not_read(self) -> None:
        """Through a link, the hub would give a module another one's secrets."""
        write(self.home.path / "vault", {".env": "SECRET=1\n"})
        (self.home.path / "toy").mkdir()
        (self.home.path / "toy" / ".env").symlink_to(self.home.path / "vault" / ".env")
        self.assertNotIn("SECRET", at_once(self.launcher(self.fence).launch("toy")).env)

    def test_a_linked_folder_is_read_with_what_it_imports(self) -> None:
        work = self.home.path.parent / "work"
        folder = write(work / "packages" / "toy", package())
        (work / "node_modules").mkdir()
        row = self.home.directory.row("toy")
        assert row is not None
        subject = LaunchedModule(short="toy", row=row, manifest=None, entry=None, folder=folder, bun=BUN, env={})
        rules = self.fence.rules(subject)
        self.assertIn(str(folder), rules.reads)
        self.assertIn(str(work / "node_modules"), rules.reads)
        self.assertNotIn(str(work), rules.reads)
        self.assertEqual(rules.lists, (str(work),))

    def test_of_bun_nothing_beside_it_is_read(self) -> None:
        """It may lie in a person's home, beside the hub's own."""
        row = self.home.directory.row("toy")
        assert row is not None
        subject = LaunchedModule(short="toy", row=row, manifest=None, entry=None, folder=Path("/x"), bun=BUN, env={})
        for bun, reads in (
            ("/opt/bun/bin/bun", {"/opt/bun/bin"}),
            ("/home/ann/bun", {"/home/ann/bun", "/home/ann/bunx"}),
        ):
            told = set(self.fence.rules(evolve(subject, bun=Path(bun))).reads)
            self.assertEqual({path for path in told if path.startswith(("/opt", "/home"))}, reads, bun)

    def test_ports(self) -> None:
        """A port named by the package is its own unless another row has it."""
        row = self.home.directory.row("toy")
        assert row is not None
        manifest = Manifest(name="toy", manifest_name="toys-toy", port=3000, paths=("/toy",), health="/")
        subject = LaunchedModule(
            short="toy", row=row, manifest=manifest, entry=None, folder=Path("/x"), bun=BUN, env={}
        )
        self.assertEqual(set(self.fence.rules(subject).bind or ()), {2711, 3000})
        self.home.register("parachute-other", 3000)
        self.assertEqual(self.fence.rules(subject).bind, (2711,))
        mine = evolve(subject, manifest=evolve(manifest, port=1939))
        self.assertEqual(self.fence.rules(mine).bind, (2711,), "the hub's")

    # --- what was installed before

    def news(self, state: ModuleState, isolation: Isolation | None = None, *, exited: bool = True) -> None:
        """`exited`: whether a process had started and ended, when it backs off."""
        told = isolation or self.fence.isolation("toy")
        if state is ModuleState.BACKOFF and exited:
            self.exits += 1
        last = LastExit(1, None, False, float(self.exits)) if self.exits else None
        at_once(
            self.fence.follow(Status(short="toy", state=state, reason="", since=0.0, isolation=told, last_exit=last))
        )

    def test_a_start_that_the_machine_refused_says_nothing(self) -> None:
        """Without descriptors or memory no process starts, confined or not."""
        for _ in range(2):
            self.news(ModuleState.STARTING)
            self.news(ModuleState.BACKOFF, exited=False)
            self.assertEqual(self.fence.isolation("toy").state, "on")
        self.news(ModuleState.STARTING)
        self.news(ModuleState.BACKOFF)
        self.assertEqual(self.fence.isolation("toy").state, "off")

    def test_its_first_confined_start_works(self) -> None:
        self.news(ModuleState.STARTING)
        self.news(ModuleState.READY)
        self.assertEqual((self.home.records.get("toy").isolation, self.told), ("on", []))
        self.news(ModuleState.BACKOFF)
        self.assertEqual(self.fence.isolation("toy").state, "on", "a later crash is no reason")

    def test_it_only_runs_as_before(self) -> None:
        self.news(ModuleState.BACKOFF)
        self.assertEqual(self.fence.isolation("toy").state, "off")
        self.news(ModuleState.READY)
        record = self.home.records.get("toy")
        self.assertEqual(record.isolation, "off")
        self.assertIn("was installed before", record.isolation_why or "")
        self.assertEqual(len(self.told), 1)
        self.assertEqual(self.made().isolation("toy").why, record.isolation_why, "after a restart of the hub")

    def test_it_does_not_run_either_way(self) -> None:
        self.news(ModuleState.BACKOFF)
        self.news(ModuleState.BACKOFF)
        self.assertEqual(self.fence.isolation("toy").state, "on")
        self.news(ModuleState.BACKOFF)
        self.assertEqual((self.fence.isolation("toy").state, self.told), ("on", []))

    def test_where_it_is_required_nothing_falls_back(self) -> None:
        self.fence = self.made(mode="required")
        self.news(ModuleState.BACKOFF)
        self.assertEqual(self.fence.isolation("toy").state, "on")
        self.home.records.change("toy", isolation="off")
        with self.assertRaises(CannotLaunch):
            self.fence.isolation("toy")


class DeclaredTests(FenceCase):
    """What a module's permissions open and close."""

    def rules(self, permissions: Permissions, **options: Any) -> Rules:
        row = self.home.directory.row("toy")
        assert row is not None
        manifest = options.pop("manifest", None)
        subject = LaunchedModule(
            short="toy",
            row=row,
            manifest=manifest,
            entry=options.pop("entry", None),
            folder=Path("/x"),
            bun=BUN,
            env={"PATH": options.pop("path", "/usr/bin")},
            permissions=permissions,
        )
        return self.made(**options).rules(subject)

    def test_without_network_only_own_ports_are_reachable(self) -> None:
        """By default: itself, the hub, and the modules it depends on."""
        self.assertIsNone(self.rules(Permissions()).connect)
        self.home.register("parachute-vault", 1940)
        self.home.register("parachute-scribe", 1943)
        manifest = Manifest(
            name="toy",
            manifest_name="toys-toy",
            port=2711,
            paths=("/toy",),
            health="/",
            dependencies=(Dependency(short="vault"), Dependency(short="not-there")),
        )
        rules = self.rules(Permissions(network="none"), manifest=manifest)
        self.assertEqual(set(rules.connect or ()), {2711, 1939, 1940})

    def test_declared_folders_are_writable(self) -> None:
        user = self.home.path.parent / "user"
        (user / "Notes").mkdir(parents=True)
        asked = Permissions(folders=("~/Notes", "~/not-there"))
        self.assertIn(str(user / "Notes"), self.rules(asked, user_home=user).writes)
        self.assertNotIn(str(user / "not-there"), self.rules(asked, user_home=user).writes)
        (user / "link").symlink_to(self.home.path / "hub")
        for folder in (str(self.home.path), str(self.home.path.parent), str(self.home.path / "vault"), "~/link"):
            with self.assertRaises(CannotLaunch, msg=folder):
                self.rules(Permissions(folders=(folder,)), user_home=user)

    def test_a_folder_that_only_the_catalog_names_is_left_out_if_it_holds_the_home(self) -> None:
        """For example /tmp, when somebody tries the hub out there."""
        above, other = str(self.home.path.parent), self.home.path.parent / "other"
        other.mkdir()
        asked = Permissions(folders=(above, str(other)))
        writes = self.rules(asked, entry=evolve(TOY, permissions=asked)).writes
        self.assertIn(str(other), writes)
        self.assertNotIn(above, writes)

    def test_declared_programs_are_readable(self) -> None:
        """A system program needs nothing more; one of a Python environment needs that environment."""
        files = {"bin/whisper": "x", "lib/python3/x.py": "", "pyvenv.cfg": "", "share/secret": "", "own/in/speak": "x"}
        tools = write(self.home.path.parent / "tools", files)
        for program in ("bin/whisper", "own/in/speak"):
            (tools / program).chmod(0o755)
        path = f"/usr/bin:{tools}/bin:{tools}/own/in"
        reads = self.rules(Permissions(programs=("whisper", "sh", "none-of-these")), path=path).reads
        self.assertLessEqual({str(tools / name) for name in ("bin", "lib", "pyvenv.cfg")}, set(reads))
        self.assertNotIn(str(tools), reads)
        reads = self.rules(Permissions(programs=("speak",)), path=path).reads
        self.assertIn(str(tools / "own" / "in" / "speak"), reads)
        self.assertNotIn(str(tools), reads)


class OpenedTests(FenceCase):
    """What the owner opens to a module."""

    def setUp(self) -> None:
        super().setUp()
        self.tools = write(self.home.path.parent / "tools", {"whisper": "x", "plain": "x", "model.bin": "x"})
        (self.tools / "whisper").chmod(0o755)

    def rules(self) -> Rules:
        launch = at_once(self.launcher(self.fence).launch("toy"))
        assert launch.rules is not None
        return launch.rules

    def test_a_program_that_is_named_in_the_settings(self) -> None:
        """With its arguments that are files; nothing else that is typed opens anything."""
        whisper, model, plain = (str(self.tools / name) for name in ("whisper", "model.bin", "plain"))
        for what, value, wanted in (
            ("a program", whisper, [whisper]),
            ("a command", json.dumps([whisper, "-m", model, "{file}", "/not/there"]), [whisper, model]),
            ("a file that is no program", plain, []),
            ("a command that is no program", json.dumps([plain, whisper]), []),
            ("a folder", str(self.tools), []),
            ("a program of the system", "/bin/sh", []),
            ("what is the hub's", json.dumps([whisper, str(self.home.path / "services.json")]), [whisper]),
            ("text", "hello", []),
            ("no text", 5, []),
            ("broken JSON", "[", []),
        ):
            self.home.records.put("toy", evolve(self.home.records.get("toy"), may_read=()))
            self.assertEqual(at_once(self.fence.named("toy", {"program": value})), bool(wanted), what)
            self.assertEqual(list(self.home.records.get("toy").may_read), wanted, what)
        at_once(self.fence.named("toy", {"program": whisper}))
        self.assertIn(whisper, self.rules().reads)
        self.assertFalse(at_once(self.fence.named("toy", {"program": whisper})), "not twice")

    def test_one_that_was_installed_before_keeps_what_its_settings_name(self) -> None:
        notes = self.home.path.parent / "exported"
        notes.mkdir()
        config = {"command": [str(self.tools / "whisper")], "mirror": str(notes), "own": str(self.home.path / "vault")}
        write(self.home.path / "toy", {"config.json": json.dumps(config), ".env": "A=/not/there\nB=/etc/passwd\n"})
        rules = self.rules()
        record = self.home.records.get("toy")
        self.assertEqual(record.may_read, (str(self.tools / "whisper"),))
        self.assertEqual(record.may_change, (str(notes),))
        self.assertIn(str(notes), rules.writes)
        self.assertIn("keeps access to", self.told[0])

    def test_one_that_is_new_cannot_open_anything_by_its_files(self) -> None:
        self.home.records.change("toy", isolation="on")
        write(self.home.path / "toy", {"config.json": json.dumps({"command": str(self.tools / "whisper")})})
        self.assertNotIn(str(self.tools / "whisper"), self.rules().reads)
        self.assertEqual((self.home.records.get("toy").may_read, self.told), ((), []))

    def test_what_would_open_the_home_is_left_out(self) -> None:
        self.home.records.change("toy", may_read=("/", str(self.home.path)), may_change=(str(self.home.path.parent),))
        rules = self.rules()
        self.assertNotIn("/", rules.reads)
        self.assertNotIn(str(self.home.path.parent), rules.writes)
