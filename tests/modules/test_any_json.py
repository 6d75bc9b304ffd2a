"""Every reader of module, package or registry data, with arbitrary JSON: no exception, nothing lost."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.jobs.journal import JobFolder
from parachute_hub.modules.definition import manifests
from parachute_hub.modules.definition.model import Manifest, ServiceRow
from parachute_hub.modules.definition.validation import Invalid
from parachute_hub.modules.launch import configuration
from parachute_hub.modules.packages import updates
from parachute_hub.modules.state import salvage, services_file
from parachute_hub.modules.state.records import Record, RecordsFile
from parachute_hub.proxy import scope_challenge
from parachute_hub.site.errors import Refused
from parachute_hub.supervise.output.line_buffer import Splitter
from parachute_hub.system import strict_json
from parachute_hub.system.strict_json import BadJson
from tests.system.test_strict_json import ANY_VALUE, CASES, as_python_writes

ROW = {"name": "toy", "port": 2000, "paths": ["/toy"], "health": "/toy/health", "version": "1.0.0"}
FIELDS = (*ROW, "uis", "tagline", "displayName", "installDir", "publicExposure", "scopes", "managementUrl", "extra")
# Rows that are nearly right: any field may hold any value.
ANY_ROW = st.dictionaries(st.sampled_from(FIELDS), ANY_VALUE, max_size=4).map(lambda fields: {**ROW, **fields})


def _in_folder(name: str, read: Callable[[Path], object]) -> Callable[["AnyJsonTests", bytes], None]:
    def check(test: "AnyJsonTests", content: bytes) -> None:
        path = test.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        try:
            read(test.folder)
        except Invalid:
            return

    return check


def _value(read: Callable[[Any], object]) -> Callable[["AnyJsonTests", bytes], None]:
    def check(test: "AnyJsonTests", content: bytes) -> None:
        try:
            value = strict_json.read(content, limit=1_000_000).value
        except BadJson:
            return
        for one in (value, {**ROW, "uis": value}, {**ROW, "paths": value, "port": value, "scopes": value}):
            try:
                read(one)
            except Invalid:
                continue

    return check


JSON = {b"content-type": b"application/json"}


READERS: dict[str, Callable[["AnyJsonTests", bytes], None]] = {
    "services.json": lambda test, content: test.written_again(services_file.parse(content)),
    "rows of a damaged services.json": lambda test, content: test.assertIsInstance(salvage.salvage(content), list),
    "module.json": _in_folder(".parachute/module.json", manifests.read_manifest),
    "package.json": _in_folder("package.json", manifests.read_package),
    "modules.json of the hub": _in_folder(
        "modules.json", lambda folder: RecordsFile(folder / "modules.json").get("toy")
    ),
    "a row": _value(ServiceRow.parse),
    "a manifest": _value(Manifest.parse),
    "a record": _value(Record.parse),
    "a registry's dist-tags": _value(lambda value: updates.pick(value, "latest")),
    "a registry's dist-tags, rc": _value(lambda value: updates.pick(value, "rc")),
    "a module's configuration": lambda test, content: test.understood(content),
    "a vault's refusal": lambda test, content: test.assertIn(
        scope_challenge._said(JSON, content), (None, "read", "write", "admin")
    ),
    "log lines": lambda test, content: test.logged(content),
    "a job's record": _in_folder("jobs/1.json", lambda folder: JobFolder(folder / "jobs").read()),
}


class AnyJsonTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir(parents=True)

    def written_again(self, found: services_file.Registry) -> None:
        """Rows and problems are returned, and the file can be written with every row that was read."""
        again = services_file.parse(found.to_bytes())
        self.assertEqual([row.name for row in again.rows], [row.name for row in found.rows])
        self.assertEqual(len(again.unusable), len(found.unusable))

    def logged(self, content: bytes) -> None:
        """Every line kept can be encoded for the log and the API."""
        lines = Splitter(1000)
        for line in (*lines.feed(content), *lines.flush()):
            strict_json.write(line)

    def understood(self, content: bytes) -> None:
        """The hub answers with a refusal or an object, and can render both."""
        for status in (200, 400, 401, 404, 500):
            try:
                strict_json.write(configuration._understood("toy", status, content))
            except Refused as refused:
                strict_json.write([refused.description, refused.detail])

    def test_known_bad_values_are_handled(self) -> None:
        for reader, check in READERS.items():
            for case, content in CASES.items():
                with self.subTest(f"{reader}: {case}"):
                    check(self, content)

    def test_a_folder_in_the_place_of_a_file(self) -> None:
        """It is refused like any unusable content."""
        readers: dict[str, Callable[[Path], object]] = {
            "services.json": lambda folder: services_file.ServicesFile(folder / "services.json").standing(),
            ".parachute/module.json": manifests.read_manifest,
            "package.json": manifests.read_package,
            "modules.json": lambda folder: RecordsFile(folder / "modules.json").get("toy"),
            "jobs/1.json": lambda folder: JobFolder(folder / "jobs").read(),
        }
        for name, read in readers.items():
            with self.subTest(name):
                (self.folder / name).mkdir(parents=True)
                try:
                    read(self.folder)
                except Invalid:
                    continue

    @settings(suppress_health_check=[HealthCheck.too_slow], max_examples=60, deadline=None)
    @given(ANY_VALUE)
    def test_any_value_is_parsed_or_refused(self, value: Any) -> None:
        content = as_python_writes(value)
        for check in READERS.values():
            check(self, content)

    @settings(deadline=None)
    @given(st.lists(ANY_ROW | ANY_VALUE, max_size=4))
    def test_any_rows_are_read(self, rows: list[Any]) -> None:
        content = as_python_writes({"services": rows, "other": 1})
        found = services_file.parse(content)
        self.assertLessEqual(len(found.rows) + len(found.unusable), len(rows) + 1)
        self.written_again(found)
        for row in found.rows:
            json.dumps([row.name, row.paths, row.tagline, row.display_name], ensure_ascii=False).encode()
