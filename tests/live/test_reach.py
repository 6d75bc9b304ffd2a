"""Opening and closing a way with stand-ins for the programs of others: the engine alone, then a whole hub."""

import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from attrs import define, evolve, field
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase, TestCase

from parachute_hub.cli.client import HubRefused
from parachute_hub.reach.lan import Lan
from parachute_hub.reach.looking import Look
from parachute_hub.reach.programs import Programs, end_left_over
from parachute_hub.reach.records import ReachFile, Record, Stage
from parachute_hub.reach.service import Reach
from parachute_hub.reach.surroundings import Surroundings
from parachute_hub.reach.ways import Situation
from parachute_hub.site.errors import Refused
from tests.live.harness import HubProcess, fetch, hub
from tests.support import ways

BEFORE = "https://old.example.com"
PATIENCE = 20.0


@define
class FakeAddress:
    """The owner's choice of an address; `refuses` makes a change fail."""

    chosen: str | None = BEFORE
    forgotten: list[str | None] = field(factory=list)
    refuses: bool = False

    def stored(self) -> str | None:
        return self.chosen

    async def choose(self, text: str | None, now: float, *, forgets: bool = False) -> str:
        if self.refuses:
            raise Refused(507, "disk_full", "The disk is full.")
        if forgets:
            self.forgotten.append(self.chosen)
        self.chosen = text
        return text or ""


def _no_lan() -> Lan:
    raise AssertionError("no local name here")


class EngineTests(TestCase):
    timeout = 60

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        programs = ways.install(self.folder, "tailscale", "cloudflared", "caddy")
        (self.folder / ".cloudflared").mkdir()
        (self.folder / ".cloudflared" / "cert.pem").write_text("signed in")
        self.environment = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(self.folder)}
        self.address = FakeAddress()
        self.trusted = False
        self.acts: list[tuple[str, str]] = []
        self.finding: str | None = None
        self.situation = Situation(port=1939)
        self.reach = self.engine()
        self.addCleanup(lambda: Deferred.fromCoroutine(self.reach.stop()))

    def engine(self) -> Reach:
        """Another life of the hub."""

        def trust(trusted: bool) -> None:
            self.trusted = trusted

        async def done(action: str, subject: str) -> None:
            self.acts.append((action, subject))

        async def failed(action: str, subject: str, why: str) -> None:
            self.acts.append((action, f"failed: {why}"))

        async def probe(origin: str) -> str | None:
            return self.finding

        tag = str(self.folder)
        programs = Programs(reactor=reactor, environment=self.environment, tag=tag)
        return Reach(
            around=Surroundings(
                address=self.address,
                situation=lambda: self.situation,
                trust=trust,
                probe=probe,
                done=done,
                failed=failed,
                in_thread=deferToThread,
                end_left_over=lambda: end_left_over(tag),
                now=lambda: 1_800_000_000.0,
                clock=reactor,
            ),
            look=Look(programs=programs, user_home=self.folder, in_thread=deferToThread),
            programs=programs,
            file=ReachFile(self.folder / "hub"),
            lan=_no_lan,
        )

    async def until(self, condition: Callable[[], object], what: str) -> None:
        for _ in range(int(PATIENCE / 0.02)):
            if condition():
                return
            await deferLater(reactor, 0.02)
        raise AssertionError(f"waited in vain for {what}")

    async def open(self, way: str, given: Mapping[str, str] | None = None) -> str:
        """Open a way; returns what went wrong."""
        await self.reach.begin(way, given or {"host": "hub.example.com"})
        await self.until(lambda: not self.reach.busy, "the way to open")
        return self.reach.progress.error

    async def close(self, *, force: bool = False) -> str:
        await self.reach.end(force=force)
        await self.until(lambda: not self.reach.busy, "the way to close")
        return self.reach.progress.error

    def nothing_is_left(self) -> None:
        self.assertEqual((self.reach.record, self.address.chosen, self.trusted), (None, BEFORE, False))
        self.assertEqual((ways.running(self.folder), ways.served(self.folder)), ([], {}))
        self.assertIsNone(ReachFile(self.folder / "hub").read())

    async def test_each_way_opens_and_leaves_nothing_when_it_is_closed(self) -> None:
        for way, origin in (
            ("tailscale-serve", f"https://{ways.NAME}"),
            ("tailscale-funnel", f"https://{ways.NAME}"),
            ("cloudflare-quick", ways.QUICK),
            ("cloudflare-named", "https://hub.example.com"),
            ("caddy", "https://hub.example.com"),
        ):
            self.assertEqual(await self.open(way), "", way)
            self.assertEqual((self.address.chosen, self.trusted), (origin, True), way)
            self.assertEqual(await self.reach.trouble(), "", way)
            await self.until(lambda: self.reach.progress.reachable, "the hub to be found at its address")
            self.assertEqual(await self.close(), "", way)
            self.nothing_is_left()
        self.assertEqual([act for act, _ in self.acts], ["reach-opened", "reach-closed"] * 5)
        self.assertEqual(self.address.forgotten, [ways.QUICK])
        self.assertIn("127.0.0.1:1939", (self.folder / "Caddyfile.seen").read_text())

    async def test_what_goes_wrong_is_told_and_undone(self) -> None:
        for way, choice, told in (
            ("tailscale-serve", {"mode": "enable"}, "does not allow this yet"),
            ("tailscale-funnel", {"mode": "enable"}, "does not allow this yet"),
            ("tailscale-serve", {"mode": "denied"}, "takes no orders"),
            ("tailscale-serve", {"mode": "fail"}, "Another client"),
            ("cloudflare-quick", {"mode": "fail"}, "failed to request quick Tunnel"),
            ("cloudflare-named", {"mode": "fail"}, "already exists"),
            ("caddy", {"mode": "fail"}, "permission denied"),
        ):
            ways.choose(self.folder, **choice)
            self.assertIn(told, await self.open(way), way)
            self.nothing_is_left()
            if "enable" in choice.values():
                self.assertEqual(self.reach.progress.remedy, ways.LINK)
        self.assertEqual({act for act, _ in self.acts if act == "reach-opened"}, {"reach-opened"})
        self.assertTrue(all(why.startswith("failed: ") for act, why in self.acts if act == "reach-opened"))

    async def test_what_cannot_begin_runs_nothing(self) -> None:
        for choice, told in (
            ({"state": "silent"}, "does not run"),
            ({"state": "NeedsLogin"}, "not signed in"),
            ({"state": "Running", "https": False}, "no HTTPS"),
            ({"version": "1.50.0\n"}, "too old"),
        ):
            ways.choose(self.folder, **choice)
            with self.assertRaises(Refused) as refused:
                await self.open("tailscale-serve")
            self.assertIn(told, str(refused.exception))
        self.assertEqual(ways.calls(self.folder), [])
        self.nothing_is_left()

    async def test_a_program_that_does_not_answer_delays_nobody_for_long(self) -> None:
        ways.choose(self.folder, mode="slow")
        self.patch(Programs, "look", lambda programs, command: programs.run(command, seconds=0.5))
        with self.assertRaises(Refused) as refused:
            await self.open("tailscale-serve")
        self.assertIn("does not run", str(refused.exception))

    async def test_a_full_disk_or_a_refused_address_leaves_nothing(self) -> None:
        self.address.refuses = True
        self.assertIn("disk is full", await self.open("tailscale-serve"))
        self.nothing_is_left()
        self.address.refuses = False
        (self.folder / "hub").rmdir()
        (self.folder / "hub").write_text("not a folder")
        self.assertNotEqual(await self.open("tailscale-serve"), "")
        self.assertEqual(ways.calls(self.folder)[2:], [])

    async def test_a_crash_at_any_moment_is_undone_or_gone_on_with(self) -> None:
        record = Record(way_id="tailscale-serve", choices={}, before=BEFORE, at=1.0, origin=f"https://{ways.NAME}")
        file = ReachFile(self.folder / "hub")
        moments: tuple[tuple[Stage, bool, str], ...] = (
            ("opening", False, BEFORE),
            ("opening", True, record.origin),
            ("closing", True, BEFORE),
        )
        for stage, began, chosen in moments:
            self.assertEqual(await self.open("tailscale-serve"), "")
            await self.reach.stop()
            file.write(evolve(record, stage=stage, began=began))
            self.address.chosen = chosen
            self.reach = self.engine()
            self.reach.recall()
            await self.reach.boot()
            if not began:
                await deferToThread(os.unlink, self.folder / "serve.json")
            self.nothing_is_left()

    async def test_a_full_disk_does_not_keep_the_hub_open(self) -> None:
        await self.open("tailscale-serve")

        def full(file: ReachFile, record: Record | None) -> None:
            raise OSError(28, "No space left on device")

        self.patch(ReachFile, "write", full)
        await self.close()
        self.assertEqual((ways.served(self.folder), self.address.chosen), ({}, BEFORE))

    async def test_an_address_that_the_owner_changed_meanwhile_stays(self) -> None:
        await self.open("tailscale-serve")
        self.address.chosen = "https://mine.example.com"
        await self.close()
        self.assertEqual(self.address.chosen, "https://mine.example.com")

    async def test_what_tailscale_served_by_hand_goes_on(self) -> None:
        await self.open("tailscale-serve")
        ReachFile(self.folder / "hub").write(None)
        self.address.chosen = BEFORE
        self.reach = self.engine()
        self.reach.recall()
        self.assertEqual(await self.open("tailscale-serve"), "")
        await self.close()
        self.assertEqual(len(ways.served(self.folder)), 2)
        self.assertEqual(self.address.chosen, BEFORE)

    async def test_a_tailscale_that_cannot_be_told_is_closed_by_force_alone(self) -> None:
        await self.open("tailscale-serve")
        ways.choose(self.folder, state="Stopped")
        self.assertIn("does not run", await self.reach.trouble())
        self.assertIn("did not stop", await self.close())
        self.assertIn("tailscale serve --https=443 off", self.reach.progress.remedy)
        (self.folder / "bin" / "tailscale").unlink()
        self.assertIn("tailscale is missing", await self.close())
        self.assertEqual(await self.close(force=True), "")
        self.assertEqual((self.reach.record, self.address.chosen), (None, BEFORE))

    async def test_a_tailscale_that_does_not_tell_what_it_serves_is_neither_changed_nor_believed_closed(self) -> None:
        ways.choose(self.folder, mode="quiet")
        with self.assertRaises(Refused) as refused:
            await self.open("tailscale-funnel")
        self.assertIn("did not say", str(refused.exception))
        ways.choose(self.folder, mode="")
        await self.open("tailscale-funnel")
        ways.choose(self.folder, mode="quiet")
        self.assertEqual(await self.reach.trouble(), "")
        self.assertEqual(await self.close(), "")
        self.nothing_is_left()

    async def test_a_lost_tunnel_is_told_and_started_again(self) -> None:
        await self.open("cloudflare-named")
        (pid,) = ways.running(self.folder)
        os.kill(pid, signal.SIGKILL)
        await self.until(lambda: not ways.running(self.folder), "the tunnel to be lost")
        await self.until(lambda: self.reach._tunnel is not None and not self.reach._tunnel.is_up, "the hub to notice")
        self.assertIn("cloudflared has ended", await self.reach.trouble())
        await self.until(lambda: ways.running(self.folder), "the tunnel to come back")
        self.assertEqual(await self.reach.trouble(), "")

    async def test_after_a_crash_there_is_one_tunnel_and_no_quick_one(self) -> None:
        await self.open("cloudflare-named")
        first = self.reach
        (left,) = ways.running(self.folder)
        self.reach = self.engine()
        self.reach.recall()
        self.assertTrue(self.trusted)
        await first.stop()
        await self.reach.boot()
        await self.until(lambda: ways.running(self.folder) not in ([], [left]), "a new tunnel")
        await self.close()
        self.assertEqual(ways.calls(self.folder)[-1], ["tunnel", "delete", "-f", "parachute-hub"])

        await self.open("cloudflare-quick")
        await self.reach.stop()
        self.reach = self.engine()
        self.reach.recall()
        await self.reach.boot()
        self.assertIn("quick tunnel ended", self.reach.progress.error)
        self.nothing_is_left()

    async def test_two_tabs_open_one_way(self) -> None:
        await self.reach.begin("caddy", {"host": "hub.example.com"})
        for attempt in (self.reach.begin("caddy", {"host": "hub.example.com"}), self.reach.end()):
            with self.assertRaises(Refused) as refused:
                await attempt
            self.assertEqual(refused.exception.error, "busy")
        await self.until(lambda: not self.reach.busy, "the way to open")
        self.assertEqual(len(ways.running(self.folder)), 1)


class HubTests(SynchronousTestCase):
    def test_a_hub_that_is_killed_keeps_its_way_until_it_is_closed(self) -> None:
        folder = Path(self.mktemp()).absolute()
        programs = ways.install(folder, "tailscale")
        path = f"{programs}:{os.environ['PATH']}"
        running = hub(self, environment={"PATH": path, "HOME": str(folder)}).start()
        before = _address(running)
        self.assertFalse(_seen_as_secure(running))
        running.client.call("POST", "/api/reach", {"way": "tailscale-serve"})
        running.wait_for(lambda: _settled(running), "the way to open")
        self.assertEqual((_state(running)["problem"], _address(running)), ("", f"https://{ways.NAME}"))
        self.assertTrue(_seen_as_secure(running))
        with self.assertRaises(HubRefused) as refused:
            running.client.call("POST", "/api/reach", {"way": "lan"})
        self.assertIn("Tailscale is open", str(refused.exception))

        running.kill()
        running.start()
        self.assertTrue(_seen_as_secure(running))
        self.assertEqual(_state(running)["open"]["stage"], "open")
        self.assertFalse(running.client.call("POST", "/api/reach/check", {})["reachable"])
        running.client.call("DELETE", "/api/reach")
        running.wait_for(lambda: _settled(running), "the way to close")
        self.assertIsNone(_state(running)["open"])
        self.assertEqual((_address(running), ways.served(folder)), (before, {}))
        self.assertFalse(_seen_as_secure(running))
        told = running.client.call("GET", "/api/audit")["acts"]
        acts = [one["action"] for one in told if one["outcome"] == "ok"]
        expected = ["reach-closed", "reach-checked", "reach-opened"]
        self.assertEqual([act for act in acts if act.startswith("reach")], expected)


def _state(running: HubProcess) -> dict[str, Any]:
    return running.client.call("GET", "/api/reach")


def _settled(running: HubProcess) -> bool:
    """False also while the operator token still names the address of before."""
    try:
        return not _state(running)["busy"]
    except HubRefused:
        return False


def _address(running: HubProcess) -> str:
    return str(running.client.call("GET", "/api/settings/hub-origin")["resolved_issuer"])


def _seen_as_secure(running: HubProcess) -> bool:
    """Whether a request that a program of this machine passes on counts as https."""
    headers = {"Host": ways.NAME, "X-Forwarded-For": "100.64.0.7", "X-Forwarded-Proto": "https"}
    return "strict-transport-security" in fetch(f"{running.url}/account/session", headers=headers).headers
