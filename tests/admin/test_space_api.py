"""What takes room, and clearing it."""

import json
from collections.abc import Mapping, Sequence

from attrs import define, evolve, field

from parachute_hub.admin.space_api import Leftover, SpaceApi
from parachute_hub.modules.state.vault_sizes import VaultSize
from parachute_hub.site.auth import Authenticator
from parachute_hub.site.errors import not_found
from parachute_hub.store.rows import User
from tests.accounts.doors import DoorCase
from tests.support.acts import HeardActs
from tests.support.asking import Answer, ask
from tests.support.at_once import at_once
from tests.support.front_door import PASSWORD
from tests.support.operators import owner as signed_in


@define
class Shelves:
    """Two leftovers, two vaults, and what was asked."""

    left: list[Leftover] = field(factory=lambda: [Leftover("downloads", 10), Leftover("logs", 5, 1_800_000_000.0)])
    emptied: list[tuple[str, str]] = field(factory=list)
    measured_after: int = 0

    async def look(self) -> Sequence[Leftover]:
        return tuple(self.left)

    async def clear(self, what: str) -> int:
        found = [one for one in self.left if one.what == what]
        if not found:
            raise not_found("There is nothing of this kind.")
        self.left.remove(found[0])
        return found[0].bytes

    async def sizes(self) -> Mapping[str, VaultSize]:
        self.measured_after = len(self.emptied)
        return {"family": VaultSize(100, 20), "grace": VaultSize(300, 250)}

    async def empty_trash(self, user: User, vault: str) -> None:
        self.emptied.append((user.username, vault))


class SpaceTests(DoorCase):
    def setUp(self) -> None:
        super().setUp()
        self.owner()
        self.shelves, self.heard = Shelves(), HeardActs()
        people = self.door.accounts.people
        person = self.now(people.person("grace", PASSWORD, vaults={"grace": "write"}, display_name="Grace 🌷"))
        at_once(self.door.database.write(people.admit, evolve(person, own=("grace",), quota=0)))
        self.member("heidi", family="read")
        self.now(self.door.accounts.quotas.set_vault("ada", "family", 500))
        api = SpaceApi(
            who=Authenticator([signed_in()]),
            people=people,
            space=lambda: (7, 70),
            sizes=self.shelves.sizes,
            quotas=self.door.accounts.quotas.vaults,
            counts=lambda: False,
            leftovers=self.shelves,
            trash=self.shelves,
            done=self.heard.done,
        )
        self.resource = api.app.resource()

    def ask(self, method: str, path: str, body: object = None, owner: bool = True) -> Answer:
        headers = {"Authorization": "Bearer owner"} if owner else {}
        return ask(self.resource, path, method=method, headers=headers, body=json.dumps(body or {}).encode())

    def test_the_largest_first(self) -> None:
        """By vault and by person; who has nothing of their own is not listed."""
        told = self.ask("GET", "/api/space").json()
        self.assertEqual((told["free"], told["total"], told["vaults_counted"]), (7, 70, False))
        self.assertEqual(
            told["vaults"],
            [
                {"name": "grace", "owner": "Grace 🌷", "bytes": 300, "files_bytes": 250, "quota": 0},
                {"name": "family", "owner": None, "bytes": 100, "files_bytes": 20, "quota": 500},
            ],
        )
        self.assertEqual(
            [(one["name"], one["bytes"], one["vaults"]) for one in told["people"]], [("Grace 🌷", 300, ["grace"])]
        )
        self.assertEqual([one["since"] for one in told["leftovers"]], [None, "2027-01-15T08:00:00Z"])

    def test_one_is_cleared(self) -> None:
        self.assertEqual(self.ask("POST", "/api/space/clear", {"what": "logs"}).json(), {"freed": 5})
        for what in ("logs", "vaults", None, 7):
            self.assertEqual(self.ask("POST", "/api/space/clear", {"what": what}).status, 404, what)
        self.assertEqual([one.what for one in self.shelves.left], ["downloads"])
        self.assertEqual(self.heard.acts, [("disk-cleared", "logs")])

    def test_the_machine_empties_a_trash_as_the_owner(self) -> None:
        self.assertEqual(self.ask("POST", "/api/space/trash/grace").status, 200)
        self.assertEqual(self.shelves.measured_after, 1)
        self.assertEqual(self.ask("POST", "/api/space/trash/none").status, 404)
        self.assertEqual(self.shelves.emptied, [("ada", "grace")])
        self.assertEqual(self.heard.acts, [("trash-emptied", "grace")])

    def test_a_stranger_gets_nothing(self) -> None:
        for method, path in (("GET", "/api/space"), ("POST", "/api/space/clear"), ("POST", "/api/space/trash/grace")):
            self.assertEqual(self.ask(method, path, owner=False).status, 401)
        self.assertEqual((len(self.shelves.left), self.shelves.emptied), (2, []))
