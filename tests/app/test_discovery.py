from collections.abc import Iterable

from parachute_hub.app.discovery import ModuleLinks, advertised, placed, tiles
from parachute_hub.modules.launch.pages_seen import ModuleAddress
from tests.app.rosters import RosterCase, row
from tests.support.supervising import FakeSupervisor


class FakePages:
    """Links in `pages` lead to a page; `looked` are those that were requested."""

    def __init__(self) -> None:
        self.pages: set[str] = set()
        self.looked: list[str] = []

    def offered(self, short: str, link: str | None) -> str | None:
        return link if link in self.pages else None

    def look(self, short: str, links: Iterable[str]) -> None:
        self.looked += links


class DiscoveryTests(RosterCase):
    def setUp(self) -> None:
        super().setUp()
        self.pages = FakePages()
        self.links = ModuleLinks(self.installed_modules, self.pages)
        manifest = {"uiUrl": "app/", "managementUrl": "admin/", "configUiUrl": "/own/app/", "displayName": "Own"}
        vault = self.package("vault", name="vault", manifestName="parachute-vault", managementUrl="/admin")
        self.register(
            row("parachute-vault", 1940, "/vault/default", "/vault/side"),
            row("own", 1951, "/own"),
            folders={"vault": vault, "own": self.package("own", **manifest)},
        )

    def test_links_that_lead_to_no_page_are_not_offered(self) -> None:
        """The hub's own pages and its own description of a module are."""
        vault, own = advertised(self.installed_modules.modules(), self.links)
        self.assertEqual([mounted.management for mounted in vault.mounts], ["/admin/vaults"] * 2)
        (mounted,) = own.mounts
        self.assertEqual((mounted.ui, mounted.management), (None, None))
        self.assertEqual(mounted.info, "/.well-known/parachute/own")
        offered = self.links.by_short("own")
        self.assertEqual((offered.ui, offered.management, offered.config_ui), (None, None, None))
        self.assertEqual(self.urls(), [])

    def test_the_same_link_everywhere_once_it_was_seen(self) -> None:
        self.pages.pages = {"/own/app/", "/own/admin/", "/vault/side/admin", "/own/.parachute/info"}
        vault, own = advertised(self.installed_modules.modules(), self.links)
        self.assertEqual([mounted.management for mounted in vault.mounts], ["/admin/vaults", "/vault/side/admin"])
        (mounted,) = own.mounts
        self.assertEqual((mounted.ui, mounted.management), ("/own/app/", "/own/admin/"))
        self.assertEqual((mounted.info, own.display_name), ("/own/.parachute/info", "Own"))
        offered = self.links.by_short("own")
        self.assertEqual((offered.ui, offered.management), ("/own/app/", "/own/admin/"))
        # Its front page is its settings page, which is opened from the hub's.
        self.assertEqual(self.urls(), [])
        self.assertIsNone(self.links.by_short("gone").ui)

    def test_an_app_has_a_tile_and_notes_begins_a_note(self) -> None:
        notes = self.package("notes", name="notes", uiUrl="/notes/")
        blog = {"displayName": "Blog", "path": "/other/blog", "tagline": "Read"}
        hidden = {"displayName": "Desk", "path": "/other/desk", "audience": "operator"}
        other = self.package("other", name="other")
        self.register(
            row("notes", 1942, "/notes"),
            row("other", 1951, "/other", uis={"blog": blog, "desk": hidden}),
            folders={"notes": notes, "other": other},
        )
        self.pages.pages = {"/notes/"}
        made = tiles(self.installed_modules, FakeSupervisor(), self.links)
        self.assertEqual(
            [(tile.name, tile.url, tile.icon, tile.writes) for tile in made],
            [
                ("notes", "/notes/", "/notes/.parachute/icon.svg", "/notes/#/new"),
                ("Blog", "/other/blog", None, None),
            ],
        )

    def test_a_module_that_answers_anew_is_asked_for_all_its_links(self) -> None:
        self.links.look("own")
        self.assertEqual(
            sorted(self.pages.looked), ["/own/.parachute/icon.svg", "/own/.parachute/info", "/own/admin/", "/own/app/"]
        )
        self.links.look("vault")
        self.assertIn("/vault/side/admin", self.pages.looked)

    def test_where_a_module_is_asked(self) -> None:
        where = placed(self.installed_modules, FakeSupervisor(listening={"vault": [1940]}))
        self.assertEqual(
            where("vault"), ModuleAddress(port=1940, mounts=("/vault/default", "/vault/side"), strip=False)
        )
        self.assertEqual((where("own"), where("gone")), (None, None))

    def urls(self) -> list[str | None]:
        return [tile.url for tile in tiles(self.installed_modules, FakeSupervisor(), self.links)]
