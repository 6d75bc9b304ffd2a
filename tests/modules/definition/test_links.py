from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.modules.definition.links import Links, links_of, main_mount
from parachute_hub.modules.definition.model import Manifest


def manifest(**more: Any) -> Manifest:
    told = {"name": "toy", "manifestName": "toy", "port": 1950, "paths": ["/toy"], "health": "/health"}
    return Manifest.parse({**told, **more})


class LinksTests(SynchronousTestCase):
    def test_links_are_resolved_against_the_mount(self) -> None:
        for value, mount, vault, found in (
            ("https://x.test/", "/toy", False, "https://x.test/"),
            ("/toy/admin", "/toy", False, "/toy/admin"),
            ("admin/", "/toy/", False, "/toy/admin/"),
            ("/admin", "/vault/home", True, "/vault/home/admin"),
            ("/admin/", "/vault/home", True, "/vault/home/admin/"),
            ("/admin", "/toy", False, "/admin"),
        ):
            with_it = manifest(uiUrl=value, managementUrl=value, configUiUrl=value)
            links = links_of(with_it, mount, vault=vault)
            self.assertEqual({links.ui, links.management, links.config_ui}, {found}, f"{value} at {mount}")
            self.assertEqual(links.info, f"{mount.rstrip('/')}/.parachute/info")
            self.assertEqual(links.icon, f"{mount.rstrip('/')}/.parachute/icon.svg")

    def test_mere_pages_need_not_say_where_they_are(self) -> None:
        self.assertEqual(links_of(None, "/notes", static=True).ui, "/notes/")
        self.assertEqual(links_of(manifest(), "/notes", static=True).ui, "/notes/")
        self.assertEqual(links_of(manifest(uiUrl="app/"), "/notes", static=True).ui, "/notes/app/")
        self.assertIsNone(links_of(manifest(), "/notes").ui)

    def test_those_that_lead_to_the_hub(self) -> None:
        links = Links(ui="/toy/", management="https://x.test/", config_ui="/toy/", info="/toy/.parachute/info")
        self.assertEqual(list(links.all()), ["/toy/", "/toy/.parachute/info"])

    def test_the_main_mount(self) -> None:
        self.assertEqual(main_mount(("/.parachute", "/runner")), "/runner")
        self.assertEqual(main_mount(()), "")
