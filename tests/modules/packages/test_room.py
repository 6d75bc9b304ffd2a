import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.jobs.runner import JobFailed
from parachute_hub.modules.packages import lockfile
from parachute_hub.modules.packages.bun import RESOLVE_ONLY, BunFailed
from parachute_hub.modules.packages.bun_errors import Complaint
from parachute_hub.modules.packages.room import ROOMY_BYTES, SPARE_BYTES, DiskRoom
from parachute_hub.modules.packages.tree import TreeNode, bytes_of
from tests.modules.homes import at_once

MB = 1_000_000
HASH = "sha512-" + "A" * 86 + "=="
MODEL = {"optionalDependencies": {"model": "^1.0.0"}, "dependencies": {"web": "^2.0.0", "model": "^1.0.0"}}


def entry(spec: str, **told: Any) -> list[Any]:
    return [spec, "", told, HASH]


LOCK = {
    "@toys/toy": entry("@toys/toy@1.0.0", **MODEL),
    "web": entry("web@2.0.0", dependencies={"util": "*"}),
    "util": entry("util@3.0.0"),
    "web/util": entry("util@1.0.0"),
    "model": entry("model@1.0.0", optionalDependencies={"for-mac": "*", "for-here": "*"}),
    "for-mac": entry("for-mac@1.0.0", os="darwin"),
    "for-here": entry("for-here@1.0.0", os=["linux", "win32"], cpu="!arm64"),
}
SIZES = {
    "@toys/toy@1.0.0": 1 * MB,
    "web@2.0.0": 2 * MB,
    "util@1.0.0": 3 * MB,
    "util@3.0.0": 900 * MB,
    "model@1.0.0": 400 * MB,
    "for-mac@1.0.0": 900 * MB,
    "for-here@1.0.0": 75 * MB,
}


def written(lock: Mapping[str, Any]) -> bytes:
    return json.dumps({"lockfileVersion": 2, "packages": lock}).encode()


class Registry:
    """Resolves to LOCK, and knows SIZES, unless `fault` is set."""

    def __init__(self) -> None:
        self.fault: BunFailed | None = None
        self.tarball = "https://npm.test/all/@toys/toy/-/toy-1.0.0.tgz"
        self.asked: list[str] = []

    async def add(
        self, folder: Path, spec: str, on_line: Callable[[str], None], min_age: int = 0, *options: str
    ) -> None:
        self.asked.append(f"{spec} {min_age} {' '.join(options)}")
        if self.fault is not None:
            raise self.fault
        (folder / "bun.lock").write_bytes(written(LOCK))

    async def info(self, package: str, about: str, folder: Path, seconds: float) -> Any:
        return {"tarball": self.tarball}

    async def sizes(self, base: str, packages: Iterable[tuple[str, str]], folder: Path) -> Mapping[str, int]:
        self.asked.append(base)
        return {f"{name}@{version}": SIZES[f"{name}@{version}"] for name, version in packages}


class Lines:
    """Stands for a job's work: what it says."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def line(self, text: str) -> None:
        self.lines.append(text)


class RoomTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.registry, self.work = Registry(), Lines()
        self.free, self.clearable, self.cleared = 0, 0, 0

    def clear(self) -> int:
        self.cleared += 1
        self.free += self.clearable
        return self.clearable

    def need(self, *, lean: bool = False) -> JobFailed | None:
        """The refusal, or None when it fits."""
        room = DiskRoom(bun=self.registry, free_bytes=lambda: self.free, make_room=self.clear, in_thread=at_once)
        asked: Any = room.need(self.work, self.folder, "@toys/toy", "@toys/toy@latest", 7, lean=lean)  # type: ignore[arg-type]
        try:
            asked.send(None)
        except StopIteration:
            return None
        except JobFailed as refusal:
            return refusal
        raise AssertionError("it waits for something")

    def test_a_registry_that_keeps_packages_elsewhere_is_not_asked_for_sizes(self) -> None:
        """Where it answers cannot be told from the address of a package, so the checks during the install decide."""
        self.registry.tarball = "https://files.test/download/@toys/toy/1.0.0/abc"
        self.assertIsNone(self.need())
        self.assertEqual(self.registry.asked, [f"@toys/toy@latest 7 {RESOLVE_ONLY}"])

    def test_what_it_takes_is_known_before_anything_is_fetched(self) -> None:
        self.free = 700 * MB
        self.assertIsNone(self.need())
        self.assertEqual(self.registry.asked, [f"@toys/toy@latest 7 {RESOLVE_ONLY}", "https://npm.test/all"])
        self.assertEqual(self.work.lines, ["It takes about 481 MB on the disk; 700 MB are free."])
        self.assertEqual(self.cleared, 0)

    def test_what_does_not_fit_is_refused_with_a_way_out(self) -> None:
        self.free = 300 * MB
        refusal = self.need()
        assert refusal is not None
        for words in ("481 MB", "300 MB are free", "about 6 MB (--without-optional)", "Disk space"):
            self.assertIn(words, str(refusal))
        self.assertEqual((refusal.detail or {})["error_type"], "disk_full")
        self.assertIsNone(self.need(lean=True))
        self.free = SPARE_BYTES
        lean = self.need(lean=True)
        assert lean is not None
        self.assertNotIn("--without-optional", str(lean))

    def test_caches_and_old_versions_go_first(self) -> None:
        self.free, self.clearable = 500 * MB, 300 * MB
        self.assertIsNone(self.need())
        self.assertEqual(self.work.lines[1], "Cached downloads and old versions were removed: 300 MB.")

    def test_a_roomy_disk_is_not_asked_about(self) -> None:
        self.free = ROOMY_BYTES
        self.assertIsNone(self.need())
        self.assertEqual(self.registry.asked, [])

    def test_what_cannot_be_found_out_is_left_to_the_install(self) -> None:
        self.free = 100 * MB
        self.registry.fault = BunFailed(Complaint("not_found", "No."))
        self.assertIsNone(self.need())

    def test_the_tree(self) -> None:
        """Optional parts count once; a nested version is the one that its parent sees; other machines' are left out."""
        tree = lockfile.tree(written(LOCK), "linux", "x64")
        self.assertNotIn("for-mac", tree)
        self.assertEqual(
            tree["@toys/toy"], TreeNode(name="@toys/toy", version="1.0.0", needs=("web",), may_need=("model",))
        )
        self.assertEqual(bytes_of(tree, "@toys/toy", SIZES, optional=True), 481 * MB)
        self.assertEqual(bytes_of(tree, "@toys/toy", SIZES, optional=False), 6 * MB)
        self.assertNotIn("for-here", lockfile.tree(written(LOCK), "linux", "arm64"))
        circle = {
            "a": TreeNode(name="a", version="1", needs=("b",)),
            "b": TreeNode(name="b", version="1", needs=("a",)),
        }
        self.assertEqual(bytes_of(circle, "a", {"a@1": 1, "b@1": 2}, optional=True), 3)
