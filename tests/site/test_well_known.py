from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.site.well_known import SEED_VERSION, Advertised, MountLinks, WellKnown, document, vault_name
from tests.support.asking import Answer, ask

ORIGIN = "https://hub.example.com"


def mounted(path: str, **links: str) -> MountLinks:
    return MountLinks(path=path, info=f"{path}/.parachute/info", **links)


def vault(*paths: str, version: str = "0.7.3", **links: str) -> Advertised:
    mounts = tuple(mounted(path, **links) for path in paths)
    return Advertised(name="parachute-vault", version=version, mounts=mounts)


class DocumentTests(SynchronousTestCase):
    def test_an_empty_hub_still_has_both_lists(self) -> None:
        """`vaults` and `services` are always there."""
        self.assertEqual(document([], ORIGIN), {"vaults": [], "services": []})

    def test_a_vault_row_is_listed_once_for_each_vault(self) -> None:
        """One process, several vaults; links are absolute."""
        made = document([vault("/vault/default", "/vault/work", management="/admin/vaults")], ORIGIN)
        self.assertEqual(
            made["vaults"],
            [
                {
                    "name": "default",
                    "url": f"{ORIGIN}/vault/default",
                    "version": "0.7.3",
                    "managementUrl": f"{ORIGIN}/admin/vaults",
                },
                {
                    "name": "work",
                    "url": f"{ORIGIN}/vault/work",
                    "version": "0.7.3",
                    "managementUrl": f"{ORIGIN}/admin/vaults",
                },
            ],
        )
        self.assertEqual([entry["path"] for entry in made["services"]], ["/vault/default", "/vault/work"])
        self.assertNotIn("vault", made)

    def test_a_seeded_row_is_a_service_but_no_vault(self) -> None:
        """An installed module that never ran has no vault yet."""
        made = document([vault("/vault/default", version=SEED_VERSION)], ORIGIN)
        self.assertEqual((len(made["vaults"]), len(made["services"])), (0, 1))

    def test_a_vault_row_without_paths_is_left_out(self) -> None:
        """There is nothing to reach."""
        self.assertEqual(document([vault()], ORIGIN), {"vaults": [], "services": []})

    def test_other_modules_get_a_bucket_of_their_short_name(self) -> None:
        """Always a list; optional keys are left out rather than null."""
        made = document(
            [Advertised(name="parachute-scribe", version="0.5.1", mounts=(mounted("/scribe", ui="/scribe/admin"),))],
            ORIGIN,
        )
        self.assertEqual(made["scribe"], [{"url": f"{ORIGIN}/scribe", "version": "0.5.1"}])
        self.assertEqual(
            made["services"],
            [
                {
                    "name": "parachute-scribe",
                    "url": f"{ORIGIN}/scribe",
                    "path": "/scribe",
                    "version": "0.5.1",
                    "infoUrl": f"{ORIGIN}/scribe/.parachute/info",
                    "uiUrl": f"{ORIGIN}/scribe/admin",
                }
            ],
        )

    def test_sub_units_are_listed_with_absolute_addresses(self) -> None:
        """A surface's pages are resolved below their path."""
        row = Advertised(
            name="parachute-surface",
            version="1",
            mounts=(mounted("/surface"),),
            uis={"notes": {"displayName": "Notes", "path": "/surface/notes", "iconUrl": "icon.svg"}},
        )
        (service,) = document([row], ORIGIN)["services"]
        self.assertEqual(
            service["uis"],
            [
                {
                    "name": "notes",
                    "displayName": "Notes",
                    "path": "/surface/notes",
                    "url": f"{ORIGIN}/surface/notes",
                    "iconUrl": f"{ORIGIN}/surface/notes/icon.svg",
                }
            ],
        )

    def test_an_address_elsewhere_stays_as_it_is(self) -> None:
        away = Advertised(name="x", version="1", mounts=(mounted("/x", ui="https://x.test/"),))
        self.assertEqual(document([away], ORIGIN)["services"][0]["uiUrl"], "https://x.test/")

    def test_the_name_of_a_vault(self) -> None:
        """From the path, else the row, else the default."""
        self.assertEqual(vault_name("parachute-vault", "/vault/side/x"), "side")
        self.assertEqual(vault_name("parachute-vault-home", "/"), "home")
        self.assertEqual(vault_name("parachute-vault", "/"), "default")


class CardTests(SynchronousTestCase):
    def card(self, path: str, method: str = "GET") -> Answer:
        toy = Advertised(name="toys-toy", version="1.2.0", mounts=(mounted("/toy"),), display_name="Toy")
        return ask(
            WellKnown(lambda: [toy], lambda: ORIGIN, {"module": b'{"a": 1}'}.get).app.resource(), path, method=method
        )

    def test_the_hub_describes_itself_at_the_root(self) -> None:
        """Modules that claim that path do not get it."""
        card = self.card("/.parachute/info")
        self.assertEqual((card.status, card.header("Access-Control-Allow-Origin")), (200, "*"))
        self.assertEqual((card.json()["name"], card.json()["url"]), ("parachute-hub", ORIGIN))
        self.assertEqual(self.card("/.parachute/info", "OPTIONS").status, 204)

    def test_the_hub_describes_a_module_that_does_not_do_so(self) -> None:
        told = self.card("/.well-known/parachute/toys-toy").json()
        self.assertEqual(told, {"name": "toys-toy", "displayName": "Toy", "tagline": "", "version": "1.2.0"})
        self.assertEqual(self.card("/.well-known/parachute/gone").status, 404)

    def test_schemas_for_authors(self) -> None:
        told = self.card("/.well-known/parachute-schemas/module.json")
        self.assertEqual((told.status, told.json()), (200, {"a": 1}))
        self.assertEqual(self.card("/.well-known/parachute-schemas/other.json").status, 404)
