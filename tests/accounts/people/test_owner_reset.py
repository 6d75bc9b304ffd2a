"""`parachute auth reset-owner`, also while a hub is running."""

import os

from parachute_hub.accounts.people.owner_reset import reset_owner
from parachute_hub.site.errors import Refused
from tests.accounts.doors import DoorCase
from tests.support.front_door import FrontDoor, RecordedWatch


class ResetOwnerTests(DoorCase):
    def setUp(self) -> None:
        # The command writes real hashes, so the hub must check them.
        from parachute_hub.accounts.people.owner_reset import here
        from parachute_hub.accounts.signin.passwords import Hasher

        self.door = FrontDoor(hasher=Hasher(here))
        self.addCleanup(self.door.close)

    def reset(self) -> tuple[str, str]:
        return reset_owner(
            self.door.path, watch=lambda database: RecordedWatch(), clock=self.door.clock, random=os.urandom
        )

    def test_the_owner_signs_in_once_with_the_new_password(self) -> None:
        """With password and second factor lost, the command gives a temporary password."""
        old = self.owner()
        self.enrol(old)
        username, password = self.reset()
        self.assertEqual(username, "ada")
        self.assertFalse(old.get_json("/api/me")["hasSession"])
        self.sign_in(password=password)
        self.assertEqual(self.answer.header("location"), "/account/change-password")

    def test_without_an_owner_there_is_nothing_to_reset(self) -> None:
        self.assertEqual(self.assertRaises(Refused, self.reset).status, 404)
