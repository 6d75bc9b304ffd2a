"""Challenges: once, in time, for one browser and purpose, and no flood pushes out others'."""

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.accounts.passkeys.challenges import LIFETIME, MOST, MOST_OF_ONE, Challenges
from tests.support.front_door import CountedRandom


class ChallengeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.now = 0.0
        self.challenges = Challenges(clock=lambda: self.now, random=CountedRandom())

    def begin(self, holder: str = "browser", address: str = "192.0.2.1") -> str:
        return self.challenges.begin(holder, "sign in", address)

    def test_once(self) -> None:
        challenge = self.begin()
        self.assertTrue(self.challenges.take(challenge, "browser", "sign in"))
        self.assertFalse(self.challenges.take(challenge, "browser", "sign in"))

    def test_for_one_browser_and_purpose(self) -> None:
        """A wrong try does not use it up: the browser that it is for goes on."""
        challenge = self.begin()
        self.assertFalse(self.challenges.take(challenge, "another", "sign in"))
        self.assertFalse(self.challenges.take(challenge, "browser", "confirm user.invite"))
        self.assertFalse(self.challenges.take("unheard of", "browser", "sign in"))
        self.assertTrue(self.challenges.take(challenge, "browser", "sign in"))

    def test_for_five_minutes(self) -> None:
        first, second = self.begin(), self.begin()
        self.now = LIFETIME - 1
        self.assertTrue(self.challenges.take(first, "browser", "sign in"))
        self.now = LIFETIME
        self.assertFalse(self.challenges.take(second, "browser", "sign in"))

    def test_a_flood_from_one_network_costs_nobody_else_theirs(self) -> None:
        mine = self.begin(address="198.51.100.7")
        first = self.begin()
        for _ in range(MOST_OF_ONE):
            self.begin()
        self.assertFalse(self.challenges.take(first, "browser", "sign in"))
        self.assertTrue(self.challenges.take(mine, "browser", "sign in"))

    def test_there_is_an_end_to_them(self) -> None:
        for number in range(MOST + 1):
            self.begin(address=f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
        self.assertEqual(len(self.challenges._waiting), MOST)
        self.now = LIFETIME
        self.begin()
        self.assertEqual(len(self.challenges._waiting), 1)
