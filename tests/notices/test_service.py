"""The whole way from a problem on the bus to a destination, with senders that the test controls."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, execute
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.accounts.encryption import Sealer
from parachute_hub.events import Bus, ProblemChanged
from parachute_hub.notices.model import Message
from parachute_hub.notices.outbound import NotSent
from parachute_hub.notices.records import Kind, NoticesFile, Quiet
from parachute_hub.notices.service import AGAIN_SECONDS, PING_SECONDS, Notices
from parachute_hub.problems.checks.notices import NoticeTrouble
from parachute_hub.site.errors import Refused
from tests.support.acts import HeardActs
from tests.support.at_once import at_once

SECRET = "https://ntfy.test/a-topic-that-is-secret"


@define
class FakeSender:
    """Notes what is sent; fails while `error` is set."""

    sent: list[tuple[Mapping[str, Any], Message]] = field(factory=list)
    error: NotSent | Exception | None = None

    def label(self, told: Mapping[str, Any], *, private: bool) -> str:
        return f"ntfy at {told['url'].split('/')[2]}"

    async def send(self, told: Mapping[str, Any], message: Message, *, private: bool) -> None:
        if self.error is not None:
            raise self.error
        self.sent.append((told, message))

    def titles(self) -> list[str]:
        """And forget them."""
        found, self.sent = [message.title for _, message in self.sent], []
        return found


class NoticesCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.now = 100_000.0
        self.bus = Bus()
        self.senders: dict[Kind, FakeSender] = {"ntfy": FakeSender(), "webhook": FakeSender(), "ping": FakeSender()}
        self.ids = iter(f"d{number}" for number in range(100))
        self.heard = HeardActs()
        self.notices = self.started()

    def started(self) -> Notices:
        """The service, as after a start of the hub."""
        self.bus = Bus()
        return Notices(
            file=NoticesFile(self.path),
            seals=Sealer(b"k" * 32, lambda count: b"n" * count),
            senders=lambda: self.senders,
            bus=self.bus,
            page=lambda: "https://hub.test/admin/",
            minute=self.minute,
            now=lambda: self.now,
            new_id=self.ids.__next__,
            in_thread=execute,
            done=self.heard.done,
        )

    def minute(self, now: float, zone: str) -> int:
        if zone != "UTC":
            raise LookupError(zone)
        return int(now // 60) % 1440

    def add(self, kind: Kind = "ntfy", url: str = SECRET) -> str:
        """A destination; what the first notice said is forgotten."""
        added = at_once(self.notices.add(kind, {"url": url}, private=False))
        self.senders[kind].sent.clear()
        return added.id

    def tick(self, seconds: float = 2.0) -> None:
        self.now += seconds
        at_once(self.notices.tick())

    def problem(self, change: Any, key: str = "disk", title: str = "The disk is full") -> None:
        told = {"key": key, "title": title, "severity": "error", "text": "12 notes of sam", "found": {"line": "x"}}
        self.bus.emit(ProblemChanged(change, told))


class SendTests(NoticesCase):
    def test_a_problem_its_end_and_nothing_else(self) -> None:
        """A notice is the headline and a link: no text of the problem, no figures."""
        self.add()
        self.problem("appeared")
        self.tick()
        ((told, message),) = self.senders["ntfy"].sent
        self.assertEqual(told, {"url": SECRET})
        self.assertEqual((message.title, message.link), ("The disk is full", "https://hub.test/admin/"))
        self.assertNotIn("sam", f"{message.body} {message.title}")
        self.tick()
        self.problem("cleared")
        self.tick()
        self.assertEqual(self.senders["ntfy"].titles(), ["The disk is full", "Resolved: The disk is full"])

    def test_a_dismissed_problem_is_not_told_again(self) -> None:
        self.add()
        self.problem("appeared")
        self.problem("dismissed")
        self.tick()
        self.assertEqual(self.senders["ntfy"].titles(), [])

    def test_quiet_hours(self) -> None:
        self.add()
        at_once(self.notices.choose(least="warning", quiet=Quiet(begin=22 * 60, end=7 * 60, zone="UTC")))
        self.now = 86400 * 2 + 23 * 3600.0
        self.problem("appeared")
        self.tick()
        self.assertEqual(self.senders["ntfy"].titles(), [])
        self.tick(8 * 3600.0)
        self.assertEqual(self.senders["ntfy"].titles(), ["The disk is full"])
        with self.assertRaises(Refused):
            at_once(self.notices.choose(least="warning", quiet=Quiet(begin=1, end=2, zone="Mars/Base")))

    def test_a_failed_notice_is_tried_again_and_is_a_problem_meanwhile(self) -> None:
        """One destination that fails holds up no other."""
        self.add()
        other = self.add("webhook", "https://hook.test/secret")
        self.tick()
        self.senders["ntfy"].titles()
        self.senders["ntfy"].error = NotSent("refused", "ntfy.test answered 500.")
        self.problem("appeared")
        self.tick()
        self.assertEqual(self.senders["webhook"].titles(), ["The disk is full"])
        check = NoticeTrouble(failures=self.notices.failures)
        (found,) = check.look()
        self.assertEqual((found.key, found.text), ("notice-failed:d0", "ntfy at ntfy.test: ntfy.test answered 500."))
        self.tick(AGAIN_SECONDS[0] - 10)
        self.senders["ntfy"].error = None
        self.assertEqual(len(check.look()), 1)
        self.tick(10)
        self.assertEqual(self.senders["ntfy"].titles(), ["The disk is full"])
        self.assertEqual(check.look(), [])
        self.assertIsNone(self.notices.get(other).error)

    def test_a_notice_that_never_arrives_is_given_up(self) -> None:
        self.add()
        self.senders["ntfy"].error = NotSent("refused", "ntfy.test answered 500.")
        self.problem("appeared")
        for seconds in (2.0, *AGAIN_SECONDS, 3000.0):
            self.tick(seconds)
        self.senders["ntfy"].error = None
        self.tick(9000.0)
        self.assertEqual(self.senders["ntfy"].titles(), [])
        self.assertEqual(len(self.notices.failures()), 1)

    def test_a_fault_of_ours_shows_no_address(self) -> None:
        self.add()
        self.senders["ntfy"].error = ZeroDivisionError(SECRET)
        self.problem("appeared")
        self.tick()
        ((_, _, why),) = self.notices.failures()
        self.assertNotIn("secret", why)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_after_a_restart_nothing_is_told_twice(self) -> None:
        self.add()
        self.problem("appeared")
        self.tick()
        self.senders["ntfy"].titles()
        self.notices = self.started()
        self.problem("cleared")
        self.tick()
        self.assertEqual(self.senders["ntfy"].titles(), ["Resolved: The disk is full"])

    def test_a_sign_of_life_goes_out_every_five_minutes(self) -> None:
        """Also in quiet hours, and it is sent nothing else."""
        self.add("ping", "https://hc.test/uuid")
        self.problem("appeared")
        for _ in range(3):
            self.tick(PING_SECONDS)
        self.assertEqual(len(self.senders["ping"].sent), 3)
        self.assertEqual({message.key for _, message in self.senders["ping"].sent}, {"test"})
        self.tick(10)
        self.assertEqual(len(self.senders["ping"].sent), 3)


class DestinationTests(NoticesCase):
    def test_a_new_one_is_tried_first_and_the_others_hear_of_it(self) -> None:
        self.add()
        at_once(self.notices.add("webhook", {"url": "https://hook.test/x"}, private=False, name="My hook"))
        self.assertEqual(self.senders["webhook"].titles(), ["Notices of your Parachute hub arrive here"])
        self.tick()
        self.assertEqual(self.senders["ntfy"].titles(), ["Notices of your Parachute hub now also go to My hook"])

    def test_one_that_does_not_work_is_not_kept(self) -> None:
        for kind, status in (("private_address", 409), ("refused", 400)):
            self.senders["ntfy"].error = NotSent(kind, "No.")
            with self.assertRaises(Refused) as refused:
                self.add()
            self.assertEqual((refused.exception.status, refused.exception.error), (status, kind))
        self.assertEqual(self.notices.state.destinations, ())

    def test_a_removed_one_is_told_so(self) -> None:
        """And gets nothing more, even if a notice for it was on its way."""
        destination = self.add()
        self.problem("appeared")
        self.senders["ntfy"].error = NotSent("refused", "No.")
        self.tick()
        self.senders["ntfy"].error = None
        at_once(self.notices.remove(destination))
        self.assertEqual(self.senders["ntfy"].titles(), ["This destination gets no more notices of your Parachute hub"])
        self.tick(3600)
        self.assertEqual(self.senders["ntfy"].titles(), [])
        with self.assertRaises(Refused):
            self.notices.get(destination)

    def test_one_that_is_removed_while_a_notice_fails_stays_removed(self) -> None:
        """Both wait for the file; the removal comes first."""
        destination = self.add()
        waiting: list[Deferred[Any]] = []

        def slow(function: Any, *args: Any) -> "Deferred[Any]":
            waiting.append(Deferred())
            return waiting[-1].addCallback(lambda _: function(*args))

        self.notices.in_thread = slow
        removing = Deferred.fromCoroutine(self.notices.remove(destination))
        self.senders["ntfy"].error = NotSent("refused", "No.")
        testing = Deferred.fromCoroutine(self.notices.test(destination))
        for each in waiting:
            each.callback(None)
        self.successResultOf(removing)
        self.failureResultOf(testing, Refused)
        self.assertEqual(self.notices.state.destinations, ())

    def test_acts_are_told_once_they_have_happened(self) -> None:
        """By name, never by address."""
        destination = self.add()
        at_once(self.notices.test(destination))
        at_once(self.notices.choose(least="error", quiet=None))
        self.senders["ntfy"].error = NotSent("refused", "No.")
        for act in (self.notices.test(destination), self.notices.add("ntfy", {"url": SECRET}, private=False)):
            with self.assertRaises(Refused):
                at_once(act)
        at_once(self.notices.remove(destination))
        name = "ntfy at ntfy.test"
        told = [("notice-destination-added", name), ("notice-tested", name), ("notice-settings-changed", "")]
        self.assertEqual(self.heard.acts, [*told, ("notice-destination-removed", name)])

    def test_addresses_are_sealed_on_the_disk(self) -> None:
        self.add()
        text = self.path.read_text()
        self.assertNotIn("secret", text)
        self.assertNotIn("secret", json.dumps(self.notices.get("d0").to_json()) + repr(self.notices.state))
        self.notices = self.started()
        at_once(self.notices.test("d0"))
        ((told, _),) = self.senders["ntfy"].sent
        self.assertEqual(told, {"url": SECRET})

    def test_the_key_for_browsers_stays_the_same(self) -> None:
        first = at_once(self.notices.key()).private_numbers()
        self.assertEqual(at_once(self.notices.key()).private_numbers(), first)
        self.notices = self.started()
        self.assertEqual(at_once(self.notices.key()).private_numbers(), first)

    def test_a_damaged_file_is_kept_beside_a_new_one(self) -> None:
        self.path.write_text("{")
        self.notices = self.started()
        self.add()
        self.assertEqual(self.path.with_suffix(".damaged.json").read_text(), "{")
