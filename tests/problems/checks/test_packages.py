from attrs import evolve
from twisted.internet.defer import ensureDeferred
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.problems.checks.packages import (
    BunMissing,
    HubUpdate,
    RegistryUnreachable,
    Updates,
    WithdrawnVersions,
    how_to_update,
)
from tests.problems.checks.test_modules import VAULT
from tests.support.always import always


class PackageCheckTests(SynchronousTestCase):
    def test_a_machine_without_bun(self) -> None:
        (found,) = BunMissing(lacks=lambda: "bun was not found. Install it.").look()
        self.assertEqual((found.severity, found.fixes[0].label), ("error", "bun was not found. Install it."))
        self.assertEqual(BunMissing(lacks=lambda: None).look(), [])

    def test_a_registry_that_does_not_answer(self) -> None:
        """Only the second time in a row; then it is asked more often."""
        why: list[str | None] = [None]

        async def ask() -> str | None:
            return why[0]

        check, counts = RegistryUnreachable(ask=ask), []
        for answer in (None, "No route.", "No route.", None, "No route."):
            why[0] = answer
            counts.append((len(self.successResultOf(ensureDeferred(check.look()))), check.period))
        self.assertEqual(counts, [(0, 21600), (0, 300), (1, 300), (0, 21600), (0, 300)])

    def test_an_update_is_dismissed_for_its_version(self) -> None:
        one, two = (
            Updates(modules=always([evolve(VAULT, version="1.0.0", newer=new)])).look()[0] for new in ("1.1.0", "1.2.0")
        )
        self.assertEqual((one.key, one.fixes[0].path), ("update:vault", "/api/modules/vault/upgrade"))
        self.assertFalse(one.same_as(two))
        for module in (VAULT, evolve(VAULT, newer="2.0.0", busy=True)):
            self.assertEqual(Updates(modules=always([module])).look(), [], module)

    def test_a_withdrawn_version_offers_a_way_out(self) -> None:
        """A newer version, else the one before, else stopping it."""
        gone = evolve(VAULT, version="1.1.0", withdrawn="It loses notes.", newer="1.2.0", previous="1.0.0")
        for module, path in (
            (gone, "/api/modules/vault/upgrade"),
            (evolve(gone, newer=None), "/api/modules/vault/rollback"),
            (evolve(gone, newer=None, previous=None), "/api/modules/vault/stop"),
        ):
            (found,) = WithdrawnVersions(modules=always([module])).look()
            self.assertEqual((found.severity, found.fixes[0].path), ("error", path), module)
            self.assertIn("It loses notes.", found.text)
        for module in (VAULT, evolve(gone, busy=True)):
            self.assertEqual(WithdrawnVersions(modules=always([module])).look(), [], module)

    def test_a_newer_hub_and_how_to_get_it(self) -> None:
        for platform, in_container, words in (
            ("render", True, "Manual Deploy"),
            ("fly", True, "fly deploy"),
            ("local", True, "docker compose pull"),
            ("local", False, "pip install --upgrade"),
        ):
            how = how_to_update(platform, in_container)
            (found,) = HubUpdate(version="1.0.0", newer=lambda: "1.1.0", how=how).look()
            self.assertIn(words, found.fixes[0].label, platform)
            self.assertIn("1.1.0", found.text)
        self.assertEqual(HubUpdate(version="1.0.0", newer=lambda: None, how="").look(), [])
