import json
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from attrs import define, field, frozen
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.iweb import IRequest

from parachute_hub.admin.vault_command import SECONDS, VaultCommand
from parachute_hub.admin.vaults_api import VaultsApi
from parachute_hub.confinement.kernel import NotConfined
from parachute_hub.confinement.rules import Rules
from parachute_hub.modules.launch import package_process
from parachute_hub.modules.launch.package_process import Reactor
from parachute_hub.site.auth import Authenticator, Principal
from parachute_hub.site.errors import Refused
from tests.support.acts import HeardActs
from tests.support.asking import Answer, ask
from tests.support.front_door import FrontDoor
from tests.support.operators import owner


class Shelf:
    """Two vaults, and a fake command that adds more."""

    def __init__(self) -> None:
        self.names = ["default", "work"]

    def known(self) -> list[dict[str, Any]]:
        return [{"name": name, "url": f"https://h.test/vault/{name}", "version": "0.3.8"} for name in self.names]

    async def create(self, name: str) -> Mapping[str, Any]:
        self.names.append(name)
        return {"name": name, "token": "pvt_new", "paths": {"vault_dir": f"/data/{name}"}, "other": 1}

    def sizes(self, names: Iterable[str]) -> "Deferred[Mapping[str, int]]":
        return succeed({"default": 4096})


class Proofs:
    """A proof was just given for this operation."""

    def __init__(self, good_for: str = "vault.create:garden") -> None:
        self.good_for = good_for

    def prove(self, request: IRequest, principal: Principal, operation: str) -> None:
        """Raises Refused for any other operation."""
        if operation != self.good_for:
            raise Refused(403, "step_up_required", "Repeat your password to do this.")


class VaultsApiTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.shelf = Shelf()
        self.proofs, self.heard = Proofs(), HeardActs()
        door = FrontDoor()
        self.addCleanup(door.close)
        self.accounts = door.accounts
        api = VaultsApi(
            who=Authenticator([owner()]),
            step_up=self.proofs,
            known=self.shelf.known,
            maker=self.shelf,
            sizes=self.shelf.sizes,
            done=self.heard.done,
            owners=lambda: {"default": "Grace"},
            deletions=self.accounts.deletions,
            quotas=self.accounts.quotas,
        )
        self.resource = api.app.resource()

    def ask(self, method: str, body: object = None, owner: bool = True, path: str = "") -> Answer:
        headers = {"Authorization": "Bearer owner"} if owner else {}
        said = json.dumps(body or {}).encode()
        return ask(self.resource, f"/vaults{path}", method=method, headers=headers, body=said)

    def test_a_vault_is_deleted_after_a_time_or_kept(self) -> None:
        """Only with a proof for this vault, and kept without one."""
        for good_for, name, status in (
            ("vault.delete:work", "default", 403),
            ("vault.delete:none", "none", 404),
            ("vault.delete:work", "work", 200),
        ):
            self.proofs.good_for = good_for
            self.assertEqual(self.ask("PUT", path=f"/{name}/deletion").status, status, name)
        _, work = self.ask("GET").json()["vaults"]
        told = work["deletion"]
        self.assertEqual(sorted(told), ["asked_at", "asked_by", "due_at", "failure", "whose"])
        self.assertEqual((told["due_at"], told["failure"]), ("2027-02-14T08:00:00Z", None))
        for status in (200, 404):
            self.assertEqual(self.ask("DELETE", path="/work/deletion").status, status)
        self.assertIsNone(self.ask("GET").json()["vaults"][1]["deletion"])

    def test_a_vault_has_a_quota(self) -> None:
        for name, size, status, kept in (
            ("work", 1 << 30, 200, 1 << 30),
            ("work", -1, 400, 1 << 30),
            ("work", None, 400, 1 << 30),
            ("none", 5, 404, 1 << 30),
            ("work", 0, 200, 0),
        ):
            self.assertEqual(self.ask("PUT", {"bytes": size}, path=f"/{name}/quota").status, status, (name, size))
            self.assertEqual(self.ask("GET").json()["vaults"][1]["quota"], kept)

    def test_lists_each_vault_with_its_address_and_size(self) -> None:
        """An unknown size is null."""
        first, second = self.ask("GET").json()["vaults"]
        self.assertEqual(
            first,
            {
                "name": "default",
                "url": "https://h.test/vault/default",
                "mcp_url": "https://h.test/vault/default/mcp",
                "version": "0.3.8",
                "bytes": 4096,
                "owner": "Grace",
                "quota": 0,
                "deletion": None,
            },
        )
        self.assertIsNone(second["bytes"])

    def test_makes_a_vault_and_gives_its_first_key(self) -> None:
        """In the published shape, without other output of the command, never cached."""
        answer = self.ask("POST", {"name": "garden"})
        self.assertEqual(answer.status, 201)
        self.assertEqual(
            answer.json(),
            {
                "name": "garden",
                "url": "https://h.test/vault/garden",
                "version": "0.3.8",
                "token": "pvt_new",
                "paths": {"vault_dir": "/data/garden"},
            },
        )
        self.assertEqual(answer.header("Cache-Control"), "no-store")
        self.assertEqual(self.heard.acts, [("vault-made", "garden")])

    def test_a_session_alone_makes_no_vault_and_sees_no_key(self) -> None:
        answer = self.ask("POST", {"name": "orchard"})
        self.assertEqual((answer.status, answer.json()["error"]), (403, "step_up_required"))
        self.assertNotIn(b"pvt_", answer.body)
        self.assertEqual((self.shelf.names, self.heard.acts), (["default", "work"], []))

    def test_refuses_names_that_cannot_be_in_a_url_or_belong_to_the_hub(self) -> None:
        """Before anything runs."""
        for name in ("", "a", "A1", "../x", "admin", "list", "new", "-x", "x" * 33, "ä1", "--json", None, 7, ["ab"]):
            answer = self.ask("POST", {"name": name})
            self.assertEqual((answer.status, answer.json()["error"]), (400, "invalid_name"), name)
        self.assertEqual(self.shelf.names, ["default", "work"])

    def test_refuses_a_name_that_is_taken(self) -> None:
        """409, saying what to do."""
        answer = self.ask("POST", {"name": "work"})
        self.assertEqual((answer.status, answer.json()["error"]), (409, "vault_exists"))

    def test_a_stranger_gets_nothing(self) -> None:
        """Neither the list nor a vault."""
        self.assertEqual(self.ask("GET", owner=False).status, 401)
        self.assertEqual(self.ask("POST", {"name": "garden"}, owner=False).status, 401)
        self.assertEqual(self.shelf.names, ["default", "work"])


@frozen
class Spawn:
    """How the fake vault is run."""

    argv: tuple[str, ...] = ("/bun", "--smol", "run", "/pkg/cli.ts", "serve", "--quiet")
    cwd: str = "/pkg"
    env: Mapping[str, str] = field(factory=lambda: {"PARACHUTE_HOME": "/h"})
    rules: Rules | None = None


@define
class Recorder:
    """Starts or refuses, and records the rules."""

    refusal: NotConfined | None = None
    started: list[tuple[Rules, int]] = field(factory=list)

    def start(self, rules: Rules, spawn: Callable[[], int], release: Callable[[], object] | None = None) -> int:
        if self.refusal is not None:
            raise self.refusal
        self.started.append((rules, spawn()))
        return self.started[-1][1]


@frozen
class Launches:
    """Gives one spawn, or raises."""

    spawn: Spawn | Exception = field(factory=Spawn)

    async def launch(self, short: str) -> Spawn:
        assert short == "vault"
        if isinstance(self.spawn, Exception):
            raise self.spawn
        return self.spawn


class ProcessReactor(MemoryReactorClock):
    """Records processes instead of starting them."""

    def __init__(self) -> None:
        super().__init__()
        self.spawned: list[tuple[Any, tuple[str, ...], dict[str, str]]] = []
        self.killed = 0
        self.pid = 4711

    def spawnProcess(self, protocol: Any, executable: str, args: Any, env: Any) -> "ProcessReactor":
        self.spawned.append((protocol, tuple(args), env))
        protocol.makeConnection(self)
        return self

    def closeStdin(self) -> None: ...

    def loseConnection(self) -> None: ...

    def signalProcess(self, name: str) -> None:
        self.killed += 1
        self.spawned[-1][0].processEnded(Failure(ProcessTerminated(signal=9)))


class VaultCommandTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = ProcessReactor()

    def begin(self, launches: Launches | None = None, name: str = "garden") -> "Deferred[Mapping[str, Any]]":
        command = VaultCommand(
            launcher=launches or Launches(), reactor=cast(Reactor, self.reactor), confiner=Recorder()
        )
        return Deferred.fromCoroutine(command.create(name))

    def end(self, output: bytes = b"", errors: bytes = b"", code: int = 0) -> None:
        protocol = self.reactor.spawned[-1][0]
        protocol.outReceived(output)
        protocol.errReceived(errors)
        protocol.processEnded(Failure(ProcessTerminated(exitCode=code) if code else ProcessDone(0)))

    def test_runs_the_daemons_own_entry_with_another_verb(self) -> None:
        """The same bun, options, folder and environment; notes before the JSON are skipped."""
        made = self.begin()
        _, argv, env = self.reactor.spawned[0]
        self.assertEqual(argv[0], "/bin/sh")
        self.assertEqual(argv[3:], ("/pkg", "/bun", "--smol", "run", "/pkg/cli.ts", "create", "garden", "--json"))
        self.assertEqual(env, {"PARACHUTE_HOME": "/h"})
        self.end(b'a note\n{"name":"garden","token":"pvt_1"}\nbye\n')
        self.assertEqual(self.successResultOf(made), {"name": "garden", "token": "pvt_1"})
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_is_confined_as_the_daemon_is(self) -> None:
        """Its changes to its row are read when it has ended."""
        rules = Rules(reads=("/pkg",), writes=("/h/vault",))
        wrote: list[int] = []
        confiner = Recorder()

        async def wait() -> None:
            wrote.append(len(self.reactor.spawned))

        command = VaultCommand(
            launcher=Launches(Spawn(rules=rules)),
            reactor=cast(Reactor, self.reactor),
            confiner=confiner,
            wrote=wait,
        )
        made = Deferred.fromCoroutine(command.create("garden"))
        self.assertEqual((confiner.started, wrote), ([(rules, 4711)], []))
        self.end(b"{}\n")
        self.assertEqual((self.successResultOf(made), wrote), ({}, [1]))

    def test_is_not_run_unconfined_instead(self) -> None:
        confiner = Recorder(NotConfined("the kernel refused"))
        spawn = Spawn(rules=Rules(reads=(), writes=()))
        command = VaultCommand(launcher=Launches(spawn), reactor=cast(Reactor, self.reactor), confiner=confiner)
        refusal = self.refusal(Deferred.fromCoroutine(command.create("garden")))
        self.assertIn("the kernel refused", refusal.description)
        self.assertEqual(self.reactor.spawned, [])

    def refusal(self, made: "Deferred[Mapping[str, Any]]") -> Refused:
        return cast(Refused, self.failureResultOf(made, Refused).value)

    def test_the_modules_own_complaint_reaches_the_person(self) -> None:
        """Exit code 2 is a bad name; other failures are the module's."""
        made = self.begin()
        self.end(errors=b"trace\nparachute-vault: that name is taken.\n", code=2)
        refused = self.refusal(made)
        self.assertEqual((refused.status, refused.description), (400, "parachute-vault: that name is taken."))
        made = self.begin()
        self.end(code=1)
        self.assertEqual(self.refusal(made).status, 502)
        made = self.begin()
        self.end(b"no json here\n")
        self.assertEqual(self.refusal(made).status, 502)

    def test_without_the_module_it_says_so(self) -> None:
        """And starts nothing."""
        refused = self.refusal(self.begin(Launches(ValueError("vault is not installed."))))
        self.assertEqual((refused.status, refused.error), (409, "no_vault_module"))
        self.assertIn("vault is not installed.", refused.description)
        self.assertEqual(self.reactor.spawned, [])

    def test_a_command_that_hangs_is_ended(self) -> None:
        """And the next one can run."""
        made = self.begin()
        self.reactor.advance(SECONDS)
        self.assertEqual(self.reactor.killed, 1)
        self.assertIn("20 seconds", self.refusal(made).description)

    def test_removes_with_the_modules_own_command(self) -> None:
        """Which prints what it likes; a release that cannot says so."""
        for code, refused in ((0, False), (2, True)):
            command = VaultCommand(launcher=Launches(), reactor=cast(Reactor, self.reactor), confiner=Recorder())
            removed = Deferred.fromCoroutine(command.remove("garden"))
            self.assertEqual(
                self.reactor.spawned[-1][1][4:], ("/bun", "--smol", "run", "/pkg/cli.ts", "remove", "garden", "--yes")
            )
            self.end(b"Deleted.", b"" if not code else b"Usage: create NAME", code)
            if refused:
                self.assertEqual(self.failureResultOf(removed, Refused).value.description, "Usage: create NAME")
            else:
                self.assertIsNone(self.successResultOf(removed))

    def test_one_at_a_time(self) -> None:
        """Both would write services.json."""
        command = VaultCommand(launcher=Launches(), reactor=cast(Reactor, self.reactor), confiner=Recorder())
        first = Deferred.fromCoroutine(command.create("one"))
        second = Deferred.fromCoroutine(command.create("two"))
        self.assertEqual(len(self.reactor.spawned), 1)
        self.end(b'{"name":"one"}')
        self.successResultOf(first)
        self.assertEqual(len(self.reactor.spawned), 2)
        self.end(b'{"name":"two"}')
        self.assertEqual(self.successResultOf(second), {"name": "two"})

    def test_who_hangs_up_does_not_let_the_next_one_in(self) -> None:
        """The command continues without its client, and is waited for."""
        command = VaultCommand(launcher=Launches(), reactor=cast(Reactor, self.reactor), confiner=Recorder())
        first = Deferred.fromCoroutine(command.create("one"))
        Deferred.fromCoroutine(command.create("two"))
        first.cancel()
        self.assertEqual(len(self.reactor.spawned), 1)
        self.end(b'{"name":"one"}')
        self.failureResultOf(first, CancelledError)
        self.assertEqual(len(self.reactor.spawned), 2)


class RealProcessTests(TestCase):
    async def test_what_a_command_leaves_behind_is_not_waited_for(self) -> None:
        """A child process that holds its output open does not block the next vault."""
        from twisted.internet import reactor

        self.patch(package_process, "DRAIN", 0.1)
        spawn = Spawn(argv=("/bin/sh", "-c", "sleep 5 & echo {} # run", "run", "x"), cwd="/", env={})
        command = VaultCommand(launcher=Launches(spawn), reactor=cast(Reactor, reactor), confiner=Recorder())
        for _ in range(2):
            making = Deferred.fromCoroutine(command.create("garden"))
            making.addTimeout(4, cast(Any, reactor))
            self.assertEqual(await making, {})

    async def test_a_real_process_answers(self) -> None:
        """Exit code and both outputs of an operating system process."""
        from twisted.internet import reactor

        folder = Path(self.mktemp())
        folder.mkdir()
        program = folder / "run"
        program.write_text("import json, sys; print(json.dumps({'name': sys.argv[-2]}))")
        spawn = Spawn(argv=(sys.executable, "run", str(program.absolute()), "serve"), cwd=str(folder), env={})
        # Python takes the word `run` as its program's name: the folder has one, which is what bun would run.
        command = VaultCommand(launcher=Launches(spawn), reactor=cast(Reactor, reactor), confiner=Recorder())
        self.assertEqual(await command.create("garden"), {"name": "garden"})
