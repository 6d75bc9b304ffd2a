from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.site.well_known import SEED_VERSION, Advertised, document, resolve, vault_name

ORIGIN = "https://hub.example.com"


def vault(*paths: str, version: str = "0.7.3", **more: str) -> Advertised:
    return Advertised(name="parachute-vault", version=version, paths=paths, **more)  # type: ignore[arg-type]


class DocumentTests(SynchronousTestCase):
    def test_an_empty_hub_still_has_both_lists(self) -> None:
        """`vaults` and `services` are always there."""
        self.assertEqual(document([], ORIGIN), {"vaults": [], "services": []})

    def test_a_vault_row_is_listed_once_for_each_vault(self) -> None:
        """One process, many vaults; the manifest's management URL is passed on unresolved."""
        made = document([vault("/vault/default", "/vault/work", management_url="admin/")], ORIGIN)
        self.assertEqual(
            made["vaults"],
            [
                {
                    "name": "default",
                    "url": f"{ORIGIN}/vault/default",
                    "version": "0.7.3",
                    "managementUrl": "admin/",
                },
                {"name": "work", "url": f"{ORIGIN}/vault/work", "version": "0.7.3", "managementUrl": "admin/"},
            ],
        )
        self.assertEqual([entry["path"] for entry in made["services"]], ["/vault/default", "/vault/work"])
        self.assertNotIn("vault", made)

    def test_a_seeded_row_is_a_service_but_no_vault(self) -> None:
        """An installed module that never ran holds no vault yet."""
        made = document([vault("/vault/default", version=SEED_VERSION)], ORIGIN)
        self.assertEqual((len(made["vaults"]), len(made["services"])), (0, 1))

    def test_a_vault_row_without_paths_is_left_out(self) -> None:
        """Zero instances: nothing to reach."""
        self.assertEqual(document([vault()], ORIGIN), {"vaults": [], "services": []})

    def test_other_modules_get_a_bucket_of_their_short_name(self) -> None:
        """Always a list, and optional keys are left out rather than null."""
        made = document(
            [Advertised(name="parachute-scribe", version="0.5.1", paths=("/scribe",), ui_url="/scribe/admin")], ORIGIN
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
        """A surface's own pages are resolved below their path."""
        row = Advertised(
            name="parachute-surface",
            version="1",
            paths=("/surface",),
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

    def test_urls_resolve_by_their_first_character(self) -> None:
        """Absolute, from the root, or below the mount."""
        self.assertEqual(resolve("https://x/y", "/m", ORIGIN), "https://x/y")
        self.assertEqual(resolve("/y", "/m", ORIGIN), f"{ORIGIN}/y")
        self.assertEqual(resolve("y/", "/m", ORIGIN), f"{ORIGIN}/m/y/")

    def test_the_name_of_a_vault(self) -> None:
        """From the path, else from the row, else the default."""
        self.assertEqual(vault_name("parachute-vault", "/vault/work/x"), "work")
        self.assertEqual(vault_name("parachute-vault-home", "/"), "home")
        self.assertEqual(vault_name("parachute-vault", "/"), "default")
