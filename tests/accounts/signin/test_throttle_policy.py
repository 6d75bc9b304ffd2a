"""How long an attacker waits, and that owners do not wait because of one."""

from typing import cast

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.accounts.model import Visitor
from parachute_hub.accounts.signin import throttle_policy
from parachute_hub.accounts.signin.throttle import AttemptThrottle
from parachute_hub.site.errors import Refused
from parachute_hub.store.sessions import Sessions
from parachute_hub.store.throttles import Throttles
from parachute_hub.system.random_tokens import hashed
from tests.support.at_once import at_once
from tests.support.front_door import FrontDoor


class WaitTests(SynchronousTestCase):
    def test_waits_double_after_the_free_failures(self) -> None:
        """Bucket, recent failures, seconds to wait."""
        for bucket, failures, seconds in (
            ("pair", 0, 0),
            ("pair", 4, 0),
            ("pair", 5, 1),
            ("pair", 6, 2),
            ("pair", 9, 16),
            ("pair", 50, 300),
            ("address", 29, 0),
            ("address", 30, 1),
            ("account", 99, 0),
            ("account", 500, 60),
            ("device", 7, 0),
            ("device", 100, 60),
        ):
            waited = throttle_policy.wait(cast(throttle_policy.Bucket, bucket), failures, 1000.0, 1000.0)
            self.assertEqual(waited, seconds, (bucket, failures))

    def test_waiting_counts(self) -> None:
        self.assertEqual(throttle_policy.wait("pair", 9.0, 1000.0, 1010.0) > 0, True)
        self.assertEqual(throttle_policy.wait("pair", 9.0, 1000.0, 1020.0), 0.0)

    @settings(max_examples=200, derandomize=True, deadline=None)
    @given(st.sampled_from(list(throttle_policy.LIMITS)), st.floats(0, 1e9), st.floats(0, 1e9), st.floats(0, 1e9))
    def test_bounded_and_finite(self, bucket: throttle_policy.Bucket, count: float, last_at: float, now: float) -> None:
        """No count and no clock, not even one set back, exceeds the limit."""
        self.assertTrue(
            0.0 <= throttle_policy.wait(bucket, count, last_at, now) <= throttle_policy.LIMITS[bucket].longest
        )

    def test_keys_hide_what_was_typed(self) -> None:
        def keys(name: str) -> list[str]:
            return [count.key for count in throttle_policy.counted("password", name, "192.0.2.1", None)]

        self.assertEqual([len(key) for key in keys("my secret")], [64, 64, 64])
        # Spelled otherwise, it is the same account and must not get more attempts.
        for one, other in (("my secret", "MY SECRET"), ("Groß", "gross")):
            self.assertEqual(keys(one), keys(other))


class GuardTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.door = FrontDoor()
        self.addCleanup(self.door.close)
        self.sessions = Sessions(self.door.database)
        self.guard = self.new_guard()
        self.home = Visitor(address="192.0.2.1", device="d" * 40)
        # Guards count within a transaction; here it is one for the whole test.
        unit = self.door.database.unit()
        unit.__enter__()
        self.addCleanup(unit.__exit__, None, None, None)
        people = self.door.accounts.people
        user = at_once(people.person("ada", "three small paper boats", role="admin"))
        people.admit(user)
        self.user_id = user.id

    def new_guard(self) -> AttemptThrottle:
        return AttemptThrottle(Throttles(self.door.database), self.sessions, self.door.clock)

    def fails(self, address: str, times: int, name: str = "ada") -> None:
        for _ in range(times):
            try:
                self.guard.begin("password", name, Visitor(address=address), user_id=self.user_id)
            except Refused:
                self.door.now += 301

    def refused(self, visitor: Visitor, name: str = "ada") -> bool:
        try:
            self.guard.begin("password", name, visitor, user_id=self.user_id)
        except Refused as refused:
            self.assertEqual((refused.status, refused.error), (429, "too_many_attempts"))
            self.assertGreater(int(refused.headers["Retry-After"]), 0)
            return True
        return False

    def test_a_guesser_is_slowed(self) -> None:
        self.fails("203.0.113.9", 5)
        self.assertTrue(self.refused(Visitor(address="203.0.113.9")))

    def test_parallel_guesses_count_before_they_are_checked(self) -> None:
        """A hundred parallel requests get five attempts."""
        allowed = sum(not self.refused(Visitor(address="203.0.113.9")) for _ in range(100))
        self.assertEqual(allowed, 5)

    def test_counts_survive_a_restart(self) -> None:
        self.fails("203.0.113.9", 5)
        self.guard = self.new_guard()
        self.assertTrue(self.refused(Visitor(address="203.0.113.9")))

    def test_a_known_browser_is_left_alone(self) -> None:
        """Someone behind the same address keeps guessing; the owner's known browser still signs in."""
        self.sessions.know_device(hashed("d" * 40), self.user_id, self.door.now)
        self.fails("192.0.2.1", 400)
        self.assertTrue(self.refused(Visitor(address="192.0.2.1")))
        self.assertFalse(self.refused(self.home))

    def test_an_owner_elsewhere_gets_a_first_try(self) -> None:
        """During a botnet attack, the first attempt from a new address passes."""
        for host in range(300):
            self.fails(f"203.0.113.{host % 250}", 1)
        self.assertFalse(self.refused(Visitor(address="198.51.100.7")))

    def test_a_forged_device_helps_nobody(self) -> None:
        self.fails("203.0.113.9", 5)
        self.assertTrue(self.refused(Visitor(address="203.0.113.9", device="e" * 40)))

    def test_success_clears_earlier_failures(self) -> None:
        for _ in range(4):
            self.guard.begin("password", "ada", self.home, user_id=self.user_id)
        self.guard.begin("password", "ada", self.home, user_id=self.user_id).succeeded()
        self.assertEqual(sum(not self.refused(self.home) for _ in range(10)), 5)

    def test_rows_are_bounded(self) -> None:
        self.fails("203.0.113.9", 3)
        self.door.now += throttle_policy.FORGOTTEN_AFTER + 1
        self.guard.prune()
        self.assertEqual(self.door.database.read("SELECT * FROM throttles"), [])
