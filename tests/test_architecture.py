"""Holds the shape that ARCHITECTURE.md describes: file sizes, who imports whom, and decisions without I/O."""

import ast
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import parachute_hub
from parachute_hub.modules.definition.mounts import RESERVED
from parachute_hub.proxy import headers
from parachute_hub.proxy.routes import OWN_SEGMENTS
from parachute_hub.site import cookies

PACKAGE = Path(parachute_hub.__file__).parent
LINES = 400
AREAS = ("modules", "supervise", "proxy", "oauth", "accounts", "admin", "store", "site")
# What an area may import of the others; data is in `supervise.model`.
MAY_IMPORT: dict[str, frozenset[str]] = {
    "supervise": frozenset(),
    "proxy": frozenset(),
    "store": frozenset(),
    "site": frozenset(),
    "modules": frozenset({"site.refused", "supervise.model"}),
    "oauth": frozenset({"site", "store"}),
    "accounts": frozenset({"site", "store"}),
    "admin": frozenset({"site", "store", "accounts", "modules", "supervise.model"}),
}
# Pure: values in, verdict out.
DECISIONS = (
    "accounts/csrf.py",
    "accounts/lifetime.py",
    "accounts/nextpath.py",
    "accounts/rules.py",
    "accounts/throttle.py",
    "accounts/totp.py",
    "accounts/wizard.py",
    "modules/mounts.py",
    "modules/names.py",
    "modules/environment.py",
    "modules/drift.py",
    "modules/ports.py",
    "modules/semver.py",
    "moments.py",
    "oauth/addresses.py",
    "oauth/authorize.py",
    "oauth/exchange.py",
    "oauth/metadata.py",
    "oauth/redirects.py",
    "oauth/registration.py",
    "oauth/resource.py",
    "oauth/scopes.py",
    "proxy/body.py",
    "proxy/head.py",
    "proxy/routes.py",
    "settings.py",
    "site/wellknown.py",
    "supervise/lifecycle.py",
    "supervise/lines.py",
    "supervise/marks.py",
    "supervise/memory.py",
    "supervise/model.py",
    "supervise/restarts.py",
    "supervise/timing.py",
)
IMPURE = ("twisted.internet", "socket", "subprocess", "time", "random", "secrets", "sqlite3", "treq")


def sources() -> Iterator[Path]:
    return (path for path in PACKAGE.rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def area_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0]


class ArchitectureTests(SynchronousTestCase):
    def test_no_file_grows_past_reading(self) -> None:
        """A longer file holds two things."""
        lengths = {str(path.relative_to(PACKAGE)): len(path.read_text().splitlines()) for path in sources()}
        self.assertEqual({name: count for name, count in lengths.items() if count > LINES}, {})
        self.assertGreater(len(lengths), 20)

    def test_areas_meet_only_in_the_composition_root(self) -> None:
        """Each area imports itself, the shared parts, and what the table grants."""
        wrong = []
        for path in sources():
            area = area_of(path)
            if area not in MAY_IMPORT:
                continue
            for name in imported(path):
                if not name.startswith("parachute_hub."):
                    continue
                target = name.removeprefix("parachute_hub.")
                other = target.split(".")[0]
                if (
                    other in AREAS
                    and other != area
                    and not any(target == grant or target.startswith(grant + ".") for grant in MAY_IMPORT[area])
                ):
                    wrong.append(f"{path.relative_to(PACKAGE)} imports {name}")
                if other in ("tap", "cli", "testing", "wiring"):
                    wrong.append(f"{path.relative_to(PACKAGE)} imports {name}")
        self.assertEqual(wrong, [])

    def test_decisions_touch_nothing(self) -> None:
        """No reactor, no await, no clock, no file of the world: values in, verdict out."""
        wrong = []
        for name in DECISIONS:
            path = PACKAGE / name
            tree = ast.parse(path.read_text())
            wrong += [f"{name} imports {one}" for one in imported(path) if one.startswith(IMPURE)]
            wrong += [f"{name} awaits" for node in ast.walk(tree) if isinstance(node, ast.Await | ast.AsyncFunctionDef)]
        self.assertEqual(wrong, [])

    def test_the_reactor_is_imported_where_programs_begin(self) -> None:
        """Everything else is given it."""
        wrong = [
            str(path.relative_to(PACKAGE))
            for path in sources()
            if "twisted.internet.reactor" in set(imported(path))
            and area_of(path) not in ("tap.py", "cli.py", "testing")
        ]
        self.assertEqual(wrong, [])

    def test_sql_stays_in_the_store(self) -> None:
        """One door to the database."""
        wrong = [
            str(path.relative_to(PACKAGE))
            for path in sources()
            if area_of(path) != "store" and any(name.split(".")[0] == "sqlite3" for name in imported(path))
        ]
        self.assertEqual(wrong, [])


class TwinTests(SynchronousTestCase):
    """What areas that may not import each other must nevertheless agree on."""

    def test_the_proxy_keeps_back_every_cookie_of_the_site(self) -> None:
        """A cookie that the site sets and the proxy does not know would reach the modules."""
        self.assertEqual({name.encode() for name in cookies.HUB_COOKIES} - headers.HUB_COOKIES, set())

    def test_every_path_refused_to_modules_is_the_hubs_own_in_the_proxy(self) -> None:
        """Except `mcp`, which the proxy sends to the vault or answers itself."""
        self.assertEqual({name.encode() for name in RESERVED} - OWN_SEGMENTS, {b"mcp"})

    def test_no_segment_of_the_hubs_own_can_be_a_modules_path(self) -> None:
        """What is left over are files and dots, which no module's name can be."""
        left = OWN_SEGMENTS - {name.encode() for name in RESERVED}
        self.assertEqual(left, {b".", b"..", b"favicon.ico", b"robots.txt"})
