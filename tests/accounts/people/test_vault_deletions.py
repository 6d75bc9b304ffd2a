"""Vaults that are deleted 30 days after somebody asked for it."""

import json
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred

from parachute_hub.accounts.people.deletion_policy import DAY
from parachute_hub.accounts.people.users import Actor
from parachute_hub.site.errors import Refused
from parachute_hub.store.rows import VaultRole
from parachute_hub.store.vaults import VaultDeletionRows
from tests.accounts.doors import DoorCase
from tests.support.at_once import at_once
from tests.support.front_door import PASSWORD


class DeletionCase(DoorCase):
    """Grace has two vaults of her own, and uses the family's with Heidi."""

    def setUp(self) -> None:
        super().setUp()
        self.tab = self.owner()
        self.deletions = self.door.accounts.deletions
        self.door.vaults.made = ["default", "family", "grace", "old"]
        people = self.door.accounts.people
        person = self.now(
            people.person("grace", PASSWORD, vaults={"grace": "write", "family": "write", "old": "write"})
        )
        at_once(self.door.database.write(people.admit, evolve(person, own=("grace", "old"), display_name="Grace 🌷")))
        self.member("heidi", family="read")
        self.began = self.door.now

    def remove(self, name: str = "grace", query: str = "?vaults=delete") -> int:
        user = next(user for user in self.door.accounts.people.all() if user.username == name)
        headers = self.proof(self.tab, f"user.delete:{user.id}")
        return int(self.tab.send_json("DELETE", f"/api/users/{user.id}{query}", b"", **headers).status)

    def coming(self) -> list[str]:
        return [one.vault for one in self.deletions.all()]

    def on_day(self, day: float) -> None:
        """The hub looks, at this time after the person was removed."""
        self.door.now = self.began + day * DAY
        self.now(self.deletions.tick())

    def acts(self, count: int = 1) -> list[tuple[str, str, str]]:
        return [(act.actor, act.action, act.subject) for _, act in self.door.accounts.audit.latest(limit=count)]


class DeletionTests(DeletionCase):
    def test_a_removed_persons_vaults_go_after_thirty_days(self) -> None:
        """Not those that somebody else uses; and nothing before its day."""
        self.assertEqual(self.remove(), 200)
        self.assertEqual(self.coming(), ["grace", "old"])
        self.assertEqual(self.deletions.all()[0].whose, "Grace 🌷")
        for day, left in ((0, 4), (24.9, 4), (25, 4), (29.9, 4), (30, 2), (31, 2)):
            self.on_day(day)
            self.assertEqual(len(self.door.vaults.made), left, day)
        self.assertEqual(self.door.vaults.made, ["default", "family"])
        self.assertEqual(self.coming(), [])
        self.assertEqual(self.acts(2), [("", "vault-deleted", "old"), ("", "vault-deleted", "grace")])

    def test_what_was_only_shared_with_the_person_stays(self) -> None:
        """A vault of the owner, who has no roles on vaults."""
        people = self.door.accounts.people
        heidi = next(user for user in people.all() if user.username == "heidi")
        self.now(people.set_vaults(Actor(name="ada"), heidi.id, {"default": "write", "family": "read"}))
        self.assertEqual(self.remove("heidi"), 200)
        self.assertEqual(self.coming(), [])

    def test_a_vault_that_is_being_deleted_cannot_be_kept_or_given(self) -> None:
        self.remove()
        self.on_day(26)
        self.door.now = self.began + 30 * DAY
        self.door.vaults.removing = Deferred()
        ticked = Deferred.fromCoroutine(self.deletions.tick())
        people = self.door.accounts.people
        heidi = next(user for user in people.all() if user.username == "heidi")
        kim = self.now(people.person("kim", PASSWORD, vaults={"grace": "read"}))
        roles: dict[str, VaultRole] = {"family": "read", "grace": "write"}
        for attempt in (
            lambda: self.deletions.keep("ada", "grace"),
            lambda: people.set_vaults(Actor(name="ada"), heidi.id, roles, ["grace"]),
            lambda: self.door.database.write(people.admit, kim),
            lambda: self.deletions.create("grace"),
        ):
            with self.assertRaises(Refused) as caught:
                self.now(attempt())
            self.assertEqual((caught.exception.status, caught.exception.error), (409, "vault_being_deleted"))
        self.now(self.deletions.keep("ada", "old"))
        self.door.vaults.removing.callback(None)
        self.successResultOf(ticked)
        self.assertEqual(self.door.vaults.made, ["default", "family", "old"])
        self.now(self.deletions.create("grace"))
        self.now(people.set_vaults(Actor(name="ada"), heidi.id, roles, ["grace"]))

    def test_a_vault_that_is_kept_before_its_turn_stays(self) -> None:
        """Other commands of the vault module may take seconds."""
        self.remove()
        self.on_day(26)
        self.door.now = self.began + 30 * DAY
        self.door.vaults.turn = Deferred()
        ticked = Deferred.fromCoroutine(self.deletions.tick())
        self.now(self.deletions.keep("ada", "grace"))
        heidi = next(user for user in self.door.accounts.people.all() if user.username == "heidi")
        self.now(self.door.accounts.people.set_vaults(Actor(name="ada"), heidi.id, {"old": "read"}))
        self.door.vaults.turn.callback(None)
        self.successResultOf(ticked)
        self.assertEqual(self.door.vaults.made, ["default", "family", "grace", "old"])
        self.assertEqual(self.coming(), [])

    def test_a_vault_that_could_not_be_deleted_can_be_kept(self) -> None:
        self.remove()
        self.on_day(26)
        self.door.vaults.refusal = Refused(502, "vault_command_failed", "The vault module ended with code 1.")
        self.on_day(30)
        self.now(self.deletions.keep("ada", "grace"))
        self.assertEqual(self.coming(), ["old"])

    def test_a_new_vault_has_nothing_of_an_earlier_one(self) -> None:
        """Whether the hub has seen meanwhile that the earlier one was gone, or not."""
        quotas = self.door.accounts.quotas
        for seen in (False, True):
            self.now(self.deletions.schedule("ada", "default"))
            self.now(quotas.set_vault("ada", "default", 5))
            self.door.vaults.made.remove("default")
            if seen:
                self.on_day(0)
                self.assertEqual((self.coming(), quotas.vaults()), ([], {}))
            self.assertEqual(self.now(self.deletions.create("default")), {"name": "default"})
            self.assertEqual((self.coming(), quotas.vaults()), ([], {}))

    def test_a_vault_that_is_there_keeps_its_date(self) -> None:
        self.now(self.deletions.schedule("ada", "default"))
        with self.assertRaises(Refused):
            self.now(self.deletions.create("default"))
        self.assertEqual(self.coming(), ["default"])

    def test_whoever_slept_is_warned_first(self) -> None:
        """A laptop that was off for the whole warning, or a clock that jumped, deletes nothing at once."""
        self.remove()
        for day, left in ((55, 4), (55.1, 4), (56.9, 4), (57, 2)):
            self.on_day(day)
            self.assertEqual(len(self.door.vaults.made), left, day)

    def test_a_wrong_clock_when_it_was_asked_for_shortens_nothing(self) -> None:
        """A machine without a clock battery begins in 1970, until the network tells the time."""
        self.remove()
        for day, due in ((20_000, 20_030), (20_024.9, 20_030), (20_025, 20_030), (20_029.9, 20_030)):
            self.on_day(day)
            self.assertEqual({one.due_at for one in self.deletions.all()}, {self.began + due * DAY})
        self.assertEqual(len(self.door.vaults.made), 4)
        self.on_day(20_030)
        self.assertEqual(self.door.vaults.made, ["default", "family"])

    def test_a_clock_that_was_ahead_for_a_moment_deletes_nothing_early(self) -> None:
        self.remove()
        self.on_day(400)
        for day, left in ((1, 4), (20, 4), (26, 4), (30.9, 4), (31, 2)):
            self.on_day(day)
            self.assertEqual(len(self.door.vaults.made), left, day)

    def test_the_date_outlives_a_restart(self) -> None:
        self.remove()
        kept = VaultDeletionRows(self.door.database).all()
        self.assertEqual(
            [(one.vault, one.due_at) for one in kept], [("grace", self.began + 30 * DAY), ("old", kept[1].due_at)]
        )

    def test_it_can_be_kept_after_all(self) -> None:
        self.remove()
        self.now(self.deletions.keep("ada", "grace"))
        self.assertEqual(self.acts(), [("ada", "vault-kept", "grace")])
        with self.assertRaises(Refused) as caught:
            self.now(self.deletions.keep("ada", "grace"))
        self.assertEqual(caught.exception.status, 404)
        self.on_day(26)
        self.on_day(90)
        self.assertEqual(self.door.vaults.made, ["default", "family", "grace"])

    def test_a_vault_that_is_given_to_somebody_stays(self) -> None:
        self.remove()
        heidi = next(user for user in self.door.accounts.people.all() if user.username == "heidi")
        self.now(self.door.accounts.people.set_vaults(Actor(name="ada"), heidi.id, {"family": "read", "grace": "read"}))
        self.assertEqual(self.coming(), ["old"])

    def test_an_heir_or_deletion_but_not_both(self) -> None:
        heidi = next(user for user in self.door.accounts.people.all() if user.username == "heidi")
        self.assertEqual(self.remove(query=f"?vaults=delete&heir={heidi.id}"), 400)
        self.assertEqual(self.remove(query=f"?heir={heidi.id}"), 200)
        heir = self.door.accounts.people.get(heidi.id)
        self.assertEqual(
            (heir.vaults, heir.own), ({"family": "read", "grace": "write", "old": "write"}, ("grace", "old"))
        )
        self.assertEqual(self.coming(), [])

    def test_a_failure_is_kept_and_tried_again_the_next_day(self) -> None:
        self.remove()
        self.on_day(26)
        self.door.vaults.refusal = Refused(502, "vault_command_failed", "The vault module ended with code 1.")
        self.on_day(30)
        self.assertEqual({one.failure for one in self.deletions.all()}, {"The vault module ended with code 1."})
        self.door.vaults.refusal = None
        self.on_day(30.9)
        self.assertEqual(len(self.coming()), 2)
        self.on_day(31)
        self.assertEqual(self.coming(), [])

    def test_what_somebody_else_deleted_is_forgotten(self) -> None:
        self.remove()
        self.on_day(26)
        self.door.vaults.made = ["default", "family"]
        self.door.vaults.refusal = Refused(400, "vault_command_failed", "There is no such vault.")
        self.on_day(30)
        self.assertEqual(self.coming(), [])

    def test_a_new_vault_of_the_name_is_nobodys(self) -> None:
        """Its quota is forgotten, too."""
        self.now(self.door.accounts.quotas.set_vault("ada", "old", 5))
        self.remove()
        self.on_day(26)
        self.on_day(30)
        self.assertEqual(self.door.accounts.quotas.vaults(), {})

    def test_any_vault_that_no_member_uses_can_be_deleted(self) -> None:
        with self.assertRaises(Refused) as caught:
            self.now(self.deletions.schedule("ada", "family"))
        self.assertEqual((caught.exception.status, caught.exception.error), (409, "vault_in_use"))
        self.assertIn("Grace 🌷 and heidi", caught.exception.description)
        made = self.now(self.deletions.schedule("ada", "default"))
        self.assertEqual((made.vault, made.whose, made.asked_by), ("default", "", "ada"))
        self.assertEqual(self.acts(), [("ada", "vault-deletion-asked", "default")])
        again = self.now(self.deletions.schedule("heidi", "default"))
        self.assertEqual(again, made)


class QuotaTests(DeletionCase):
    def test_an_owner_limits_people(self) -> None:
        user = next(user for user in self.door.accounts.people.all() if user.username == "grace")
        for size, status in (
            (5_000_000, 200),
            (0, 200),
            (-1, 400),
            ("5", 400),
            (True, 400),
            (1.5, 400),
            (1 << 60, 400),
        ):
            body = json.dumps({"bytes": size}).encode()
            answer = self.put(user.id, body)
            self.assertEqual(answer.status, status, size)
            if status == 200:
                self.assertEqual(answer.json()["user"]["quota"], size)
                self.assertEqual(self.acts(), [("ada", "quota-changed", "grace")])
        self.assertEqual(self.put("nobody", b'{"bytes": 1}').status, 404)

    def put(self, user_id: str, body: bytes) -> Any:
        headers = self.proof(self.tab, f"user.quota:{user_id}")
        return self.tab.send_json("PUT", f"/api/users/{user_id}/quota", body, **headers)
