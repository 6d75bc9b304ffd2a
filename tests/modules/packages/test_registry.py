from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.jobs.runner import JobFailed
from parachute_hub.modules.packages.bun import BunFailed
from parachute_hub.modules.packages.bun_errors import Complaint
from parachute_hub.modules.packages.lockfile import LockedPackage
from parachute_hub.modules.packages.registry import NPM_HOST, PackageRegistry
from tests.support.npm import Signer

HASH = "sha512-abc"


class Asked:
    """bun, with scripted registry answers."""

    def __init__(self) -> None:
        self.signer = Signer()
        self.keys: tuple[int, Any] = (200, {"keys": self.signer.keys()})
        signed = self.signer.sign(f"@toys/toy@1.0.0:{HASH}")
        tarball = "https://packs.test/@toys/toy/-/toy-1.0.0.tgz"
        self.dist: Any = {"tarball": tarball, "integrity": HASH, "signatures": [signed]}
        self.times: Any = {}
        self.date: str | None = "Thu, 01 Jan 1970 00:10:00 GMT"
        self.fetched: list[str] = []
        self.slowly: Deferred[None] | None = None

    async def info(self, package: str, about: str, folder: Path, seconds: float) -> Any:
        if self.slowly is not None:
            await self.slowly
        if self.dist is None:
            raise BunFailed(Complaint("refused", "The registry refused the connection."))
        return {"dist": self.dist, "time": self.times}[about]

    async def fetch_json(self, url: str, folder: Path, seconds: float) -> tuple[int, Any]:
        self.fetched.append(url)
        return self.keys

    async def fetch_date(self, url: str, folder: Path, seconds: float) -> tuple[int, str | None]:
        self.fetched.append(url)
        return self.keys[0], self.date


class Registries(SynchronousTestCase):
    def setUp(self) -> None:
        self.bun = Asked()
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.now = 0.0
        self.configured = {"BUN_CONFIG_REGISTRY": "https://packs.test/"}
        self.registry = PackageRegistry(
            bun=self.bun, variables=self.configured, folder=self.folder, now=lambda: self.now
        )

    def check(self) -> str | None:
        checking = self.registry.check("@toys/toy", LockedPackage("1.0.0", HASH, ""))
        line: str | None = self.successResultOf(Deferred.fromCoroutine(checking))
        return line

    def refusal(self) -> str:
        checking = self.registry.check("@toys/toy", LockedPackage("1.0.0", HASH, ""))
        failure = self.failureResultOf(Deferred.fromCoroutine(checking), JobFailed)
        return str(failure.value)

    def test_a_signed_package(self) -> None:
        self.assertEqual(self.check(), "@toys/toy 1.0.0 is signed by the registry.")
        self.assertEqual(self.bun.fetched, ["https://packs.test/-/npm/v1/keys"])

    def test_keys_are_asked_for_once_an_hour(self) -> None:
        self.check()
        self.check()
        self.assertEqual(len(self.bun.fetched), 1)
        self.now = 3600.0
        self.check()
        self.assertEqual(len(self.bun.fetched), 2)

    def test_keys_are_asked_for_together_with_what_they_check(self) -> None:
        """Only where every package comes from the configured registry: no other one is asked for nothing."""
        for npmrc, early in (("", 1), ("registry=https://packs.test", 1), ("@toys:registry=https://own.test", 0)):
            with self.subTest(npmrc):
                (self.folder / ".npmrc").write_text(npmrc)
                self.bun = Asked()
                self.bun.slowly = Deferred()
                registry = PackageRegistry(bun=self.bun, variables=self.configured, folder=self.folder, now=lambda: 0.0)
                checking = registry.check("@toys/toy", LockedPackage("1.0.0", HASH, ""))
                checked = Deferred.fromCoroutine(checking)
                self.assertEqual(len(self.bun.fetched), early)
                self.bun.slowly.callback(None)
                self.assertIn("is signed", self.successResultOf(checked))
                self.assertEqual(self.bun.fetched, ["https://packs.test/-/npm/v1/keys"])

    def test_keys_of_the_registry_that_the_package_names(self) -> None:
        """What the configured one says meanwhile does not matter, nor whether it says anything."""
        self.registry.variables = {"BUN_CONFIG_REGISTRY": "https://mirror.test"}
        self.assertIn("is signed", self.check() or "")
        self.assertEqual(self.bun.fetched[-1], "https://packs.test/-/npm/v1/keys")
        self.bun = self.registry.bun = Asked()
        self.bun.slowly, self.bun.dist = Deferred(), None
        checking = Deferred.fromCoroutine(self.registry.check("@toys/toy", LockedPackage("1.0.0", HASH, "")))
        checking.addErrback(lambda _: None)
        checking.cancel()
        self.assertIsNone(self.successResultOf(checking))

    def test_missing_and_wrong_signatures_are_refused(self) -> None:
        good = self.bun.dist
        for case, dist, words in (
            ("no signature", {**good, "signatures": None}, "has no signature"),
            (
                "another package's",
                {**good, "signatures": [self.bun.signer.sign("x@1.0.0:" + HASH)]},
                "invalid signature",
            ),
            ("another hash", {**good, "integrity": "sha512-other"}, "different integrity hash"),
        ):
            with self.subTest(case):
                self.bun.dist = dist
                self.assertIn(words, self.refusal())

    def test_a_registry_without_keys(self) -> None:
        self.bun.keys = (404, None)
        self.bun.dist["signatures"] = None
        self.assertIsNone(self.check())

    def test_the_clock_is_compared_with_that_of_the_configured_registry(self) -> None:
        """The environment comes before .npmrc, and that before npm's own."""
        for variables, npmrc, address in (
            ({}, "", f"https://{NPM_HOST}"),
            ({}, "registry = https://mine.test/npm/", "https://mine.test/npm"),
            ({"NPM_CONFIG_REGISTRY": "https://env.test"}, "registry=https://mine.test", "https://env.test"),
        ):
            (self.folder / ".npmrc").write_text(npmrc)
            registry = PackageRegistry(bun=self.bun, variables=variables, folder=self.folder, now=lambda: 660.0)
            self.assertEqual(self.successResultOf(Deferred.fromCoroutine(registry.offset())), 60.0, address)
            self.assertEqual(self.bun.fetched.pop(), f"{address}/-/npm/v1/keys")

    def test_a_registry_that_does_not_tell_the_time_or_fails(self) -> None:
        for date in (None, "", "yesterday"):
            self.bun.date = date
            self.assertIsNone(self.successResultOf(Deferred.fromCoroutine(self.registry.offset())), date)
        self.bun.keys = (502, None)
        self.failureResultOf(Deferred.fromCoroutine(self.registry.offset()), BunFailed)

    def test_failed_requests_are_reported(self) -> None:
        self.bun.keys = (503, None)
        self.assertIn("was not checked", self.check() or "")
        self.bun.dist = None
        self.assertIn("was not checked", self.check() or "")
        self.bun = self.registry.bun = Asked()
        self.assertIn("is signed", self.check() or "", "a failure is not remembered")

    def test_a_key_that_expired_after_the_release(self) -> None:
        signer = self.bun.signer = Signer(expires="2025-01-29T00:00:00.000Z")
        self.bun.keys = (200, {"keys": signer.keys()})
        self.bun.dist["signatures"] = [signer.sign(f"@toys/toy@1.0.0:{HASH}")]
        self.bun.times = {"1.0.0": "2024-05-01T00:00:00.000Z"}
        self.assertIn("is signed", self.check() or "")
        self.bun.times = {"1.0.0": "2025-05-01T00:00:00.000Z"}
        self.assertIn("not signed with a key", self.refusal())

    def test_the_operators_registries(self) -> None:
        """From the environment, and the hub's own .npmrc."""
        self.registry.variables = {"BUN_CONFIG_REGISTRY": "http://127.0.0.1:4873/", "BUN_CONFIG_TOKEN": "http://x"}
        (self.folder / ".npmrc").write_text("@own:registry = https://packs.lan:8443/npm/\nlogin=https://other.test\n")
        self.assertEqual(self.registry.origins(), {"http://127.0.0.1:4873", "https://packs.lan:8443"})
