from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.admin.package_api import PackageArea
from parachute_hub.modules.definition.catalog import Catalog
from parachute_hub.modules.packages.bun import BunFailed
from parachute_hub.modules.packages.bun_errors import Complaint
from parachute_hub.modules.packages.facts import Facts
from parachute_hub.site.auth import Authenticator
from tests.modules.homes import TOY
from tests.support.asking import ask
from tests.support.operators import owner


class PackageAreaTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.version: str | None = "1.0.0"
        self.fault: BunFailed | None = None
        area = PackageArea(who=Authenticator([owner()]), catalog=Catalog((TOY,)), latest=self.latest, facts=self)
        self.resource = area.app.resource()

    async def latest(self, package: str) -> str | None:
        return self.version

    async def of(self, package: str, version: str) -> Facts:
        if self.fault:
            raise self.fault
        return Facts(version=version, unpacked=5)

    def status(self, short: str = "toy", *, signed_in: bool = True) -> int:
        headers = {"Authorization": "Bearer owner"} if signed_in else {}
        return ask(self.resource, f"/api/packages/{short}", headers=headers).status

    def test_owners_learn_what_a_module_on_offer_takes(self) -> None:
        answer = ask(self.resource, "/api/packages/toy", headers={"Authorization": "Bearer owner"})
        self.assertEqual((answer.json()["version"], answer.json()["unpacked"]), ("1.0.0", 5))
        self.assertEqual((self.status("none"), self.status(signed_in=False)), (404, 401))
        self.version = None
        self.assertEqual(self.status(), 404)

    def test_a_registry_that_does_not_answer_is_no_error_of_the_hub(self) -> None:
        self.fault = BunFailed(Complaint("unreachable", "The registry did not answer."))
        self.assertEqual(self.status(), 502)
