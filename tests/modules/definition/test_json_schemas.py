"""The published schemas judge as the hub's readers do, apart from rules that a schema cannot express."""

import copy
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.modules.definition import catalog, json_schemas
from parachute_hub.modules.definition.catalog import CatalogEntry
from parachute_hub.modules.definition.model import Manifest, ServiceRow
from parachute_hub.modules.state import services_file
from tests.modules.homes import package
from tests.support.documents import ROOT

MANIFEST = json.loads(package()[".parachute/module.json"])
ROW = {"name": "toys-toy", "port": 2711, "paths": ["/toy"], "health": "/toy/health", "version": "1.0.0"}
UI = {"displayName": "Desk", "path": "/toy/desk"}
ENTRY = {"short": "toy", "package": "@toys/toy"}

BEYOND = (
    r"scopes\.defines: each must read toy:<verb>",
    r'configSchema\.required: names ".*", which is not among the properties',
    r"must be at most 128 bytes of printable characters",
    r"permissions\.network\[\d+\]: must (be a host name|not be an address of this machine)",
    r"permissions\.folders\[\d+\]: must be a folder such as",
    r"two entries have the same (short|package)",
    r"there is another row",
    # JSON Schema knows no difference between 1 and 1.0.
    r"must be a whole number",
    r"enum: each must be a integer",
)
"""Rules of the readers that a schema cannot express, or only in part."""

TEXTS = (
    "", " ", "\n", "a", "A", "a\n", "toy", "toy:read", "other:read", "Toy", "-a", "a-", "a_b", "é", "\u2028", "\x7f",
    "\0",
    "a\0b", "x" * 63, "x" * 64, "x" * 65, "x" * 128, "x" * 129, "é" * 100, "x" * 254, "/" + "x" * 2047, 
    "/" + "x" * 2048,
    "/" + "x" * 4096, "~/" + "x" * 4094, "~/" + "x" * 4095,
    "/", "//", "/a", "/a/", "/a//b", "/a/../b", "/..", "..", ".", "...", "a/..", "../a", "a/b", "a//b", "a/./b", "./a",
    "/a\\b", "a\\b", "/a\n", "/a b", "~", "~/", "~/a", "~/..", "~/a/..", "~/a/../b", "~//", "/~", "~a", "/a/..b",
    "parachute-", "parachute-toy", "parachute-..", "parachute-a/b", "parachute-/", "parachute-parachute-", "@toys/toy",
    "@toys/..", "@toys/node_modules", "node_modules", "favicon.ico", "@a/favicon.ico", "a..b", "A/b", "@A/b", "@a/b/c",
    "1.2.3", "1.2.3-rc.1", "1..2", "latest", "+1", "1+1", "http://a", "https://a.test/x?y", "HTTPS://A.test", "http://",
    "http:a", "http:/a", "http:///a", "http://?x", "http://#x", "http://[", "http://[::1]", "https://u@h", "ftp://a",
    "javascript:alert(1)", "mailto:a@b", "a:b", "1:b", "a/b:c", "admin/", "admin/?x=//y", "x//y", ":", ":a", "?", "#x",
    "a.test", "*.a.test", "A.Test", "*.test", "*", "a", "a.b1", "a.1b", "a.b", "a-.test", "-a.test", "a.te-", "a..test",
    "a.test:443", "127.0.0.1", "192.168.1.5", "999.1.1.1", "1.2.3", "::1", "2001:db8::1", "fe80::1%eth0", "1::2::3",
    "1:2",
    "any", "none", "core", "experimental", "deprecated", "allowed", "loopback", "auth-required", "public", "hub-users",
    "operator", "surface", "active", "pending", "inactive", "failing", "pending-oauth", "disabled", "object", "string",
    "number", "integer", "boolean", "null", "array", "ffmpeg", "git-lfs", ".git", "a+b",
)  # fmt: skip
OTHERS: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 63, 64, 65535, 65536, 1 << 20, (1 << 20) + 1, 1.5, 1.0, 1e9, [], [[]], [None], [1],
    [""],
    ["a"], ["a", ""], ["", "a"], ["a", 1], ["a\0"], ["a", "\0"], [" "], ["a"] * 50, ["a"] * 51, ["/a"] * 1000,
    ["/a"] * 1001, {}, {"a": 1}, {"a": {}}, {"a": None},
)  # fmt: skip
STRUCTURES: dict[str, tuple[Any, ...]] = {
    "init": tuple({"command": value} for value in (*OTHERS, "a")),
    "scopes": tuple({"defines": value} for value in (*OTHERS, *([text] for text in TEXTS))),
    "dependencies": (
        *({text: {}} for text in TEXTS),
        *({"vault": value} for value in OTHERS),
        *({"vault": {key: value}} for key in ("optional", "scopes") for value in (*OTHERS, "a")),
    ),
    "permissions": (
        *({key: value} for key in ("network", "folders", "programs", "memory", "more") for value in (*OTHERS, *TEXTS)),
        *({key: [text]} for key in ("network", "folders", "programs") for text in TEXTS),
    ),
    "idle": (
        *({key: value} for key in ("sleep", "wakeFor", "more") for value in (*OTHERS, *TEXTS)),
        *({"sleep": text} for text in ("10m", "2h", "0m", "99h", "100h", "9999m", "10000m", "10", "10m\n", " 10m")),
        *({"wakeFor": ["a"] * count} for count in (10, 11)),
    ),
    "configSchema": (
        *({"type": kind, "properties": {}} for kind in (*OTHERS, *TEXTS)),
        *({"type": "object", "properties": value} for value in (*OTHERS, "a")),
        *({"type": "object", "properties": {"a": {"type": kind}}} for kind in (*OTHERS, *TEXTS)),
        *({"type": "object", "properties": {"a": {"type": "string"}}, "required": value} for value in (*OTHERS, "a")),
        *(
            {"type": "object", "properties": {"a": {"type": kind, "enum": value}}}
            for kind in ("string", "number", "integer", "boolean")
            for value in (*OTHERS, "a", [1, 2], ["a", "b"], [1.5], [True], ["a", 1], [1, 1.5])
        ),
    ),
    "uis": (
        *({"desk": value} for value in (*OTHERS, "a")),
        *({"desk": {**UI, key: value}} for key in ("displayName", "path", "tagline", "iconUrl", "version", "status",
          "oauthClientId", "audience", "public", "scopes_required", "more") for value in (*OTHERS, *TEXTS)),
        *({"desk": {**UI, "audience": who, "public": value}} for who in (None, "operator") for value in OTHERS),
        *({"desk": {**UI, "scopes_required": [text]}} for text in TEXTS),
        *({"desk": {key: UI[key]}} for key in UI),
    ),
    "withdrawn": tuple({"1.0.0": value} for value in (*OTHERS, *TEXTS)),
}  # fmt: skip


def ecma(validator: Any, pattern: str, value: Any, schema: Any) -> Iterator[ValidationError]:
    """Patterns as JSON Schema means them (ECMA-262): `$` is the end, also behind a line end."""
    told = re.sub(r"(?<!\\)\$", r"\\Z", pattern)
    if isinstance(value, str) and not re.search(told, value):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


Validator = extend(Draft7Validator, {"pattern": ecma})


def schema(name: str) -> dict[str, Any]:
    content = json_schemas.text(name)
    assert content is not None
    found: dict[str, Any] = json.loads(content)
    return found


def variants(base: dict[str, Any], fields: list[str]) -> Iterator[dict[str, Any]]:
    """The document, and copies with one field left out or set to anything."""
    yield base
    for field in [*fields, "somethingElse"]:
        yield {name: value for name, value in base.items() if name != field}
        lists = [[text] for text in TEXTS] if field in ("paths", "startCmd") else []
        for value in (*OTHERS, *TEXTS, *lists, *STRUCTURES.get(field, ())):
            yield {**copy.deepcopy(base), field: value}


class SchemaTests(SynchronousTestCase):
    def agree(self, name: str, documents: Iterator[Any], read: Callable[[Any], str | None], least: int) -> None:
        """`read` returns why the reader refuses a document, None if it does not."""
        validator = Validator(schema(name))
        counts = {True: 0, False: 0}
        for document in documents:
            why, fits = read(document), validator.is_valid(document)
            counts[fits] += 1
            if fits and why is not None:
                self.assertTrue(any(re.search(rule, why) for rule in BEYOND), f"{name} accepts {document}: {why}")
            if not fits:
                self.assertIsNotNone(why, f"{name} refuses {document}: {_first(validator, document)}")
        self.assertGreater(min(counts.values()), least, counts)

    def test_module_json(self) -> None:
        def read(document: Any) -> str | None:
            return _refusal(lambda: Manifest.parse(document))

        self.agree("module", variants(MANIFEST, [*schema("module")["properties"]]), read, 500)

    def test_services_json(self) -> None:
        def read(document: Any) -> str | None:
            found = services_file.parse(json.dumps(document).encode())
            return str(found.problems[0]) if found.problems else None

        fields = [*schema("services")["properties"]["services"]["items"]["properties"]]
        rows = ({"services": [row]} for row in variants(ROW, fields) if _healthy(row))
        self.agree("services", rows, read, 500)
        whole = [{}, [], {"services": {}}, {"services": [], "more": 1}, {"services": [ROW, ROW]}, {"services": [1]}]
        self.agree("services", iter(whole), read, 1)

    def test_the_catalog(self) -> None:
        def read(document: Any) -> str | None:
            return _refusal(lambda: catalog.parse(json.dumps(document).encode(), Path()))

        fields = [*schema("catalog")["properties"]["modules"]["items"]["properties"]]
        entries = ({"modules": [entry]} for entry in variants(ENTRY, fields))
        self.agree("catalog", entries, read, 500)
        whole = [{}, {"modules": 1}, {"modules": [ENTRY, ENTRY]}]
        whole += [{"modules": [], "hub": value} for value in (*OTHERS, *TEXTS)]
        self.agree("catalog", iter(whole), read, 10)

    def test_each_field_that_a_reader_knows_is_described(self) -> None:
        def camel(names: Iterator[str]) -> set[str]:
            return {re.sub(r"_([a-z])", lambda found: found[1].upper(), name) for name in names} - {"raw"}

        self.assertEqual(set(schema("module")["properties"]), camel(iter(Manifest.__annotations__)))
        row = schema("services")["properties"]["services"]["items"]["properties"]
        self.assertEqual(set(row), camel(iter(ServiceRow.__annotations__)))
        entry = schema("catalog")["properties"]["modules"]["items"]["properties"]
        known = camel(iter(CatalogEntry.__annotations__)) | {"memoryMB", "memoryLimitMB"}
        self.assertLessEqual(set(entry), known)
        for name in json_schemas.NAMES:
            Draft7Validator.check_schema(schema(name))

    def test_our_own_files_fit(self) -> None:
        for manifest in (ROOT / "examples").glob("*/.parachute/module.json"):
            self.assertIsNone(_first(Validator(schema("module")), json.loads(manifest.read_text())), manifest)
        offered = json.loads((ROOT / "examples/catalog.json").read_text())
        self.assertIsNone(_first(Validator(schema("catalog")), offered))


def _healthy(row: dict[str, Any]) -> bool:
    """Rows of retired modules are removed before anything reads them."""
    return row.get("name") not in ("agent", "channel")


def _refusal(read: Callable[[], object]) -> str | None:
    try:
        read()
    except ValueError as error:
        return str(error)
    return None


def _first(validator: Any, document: Any) -> str | None:
    return next((error.message for error in validator.iter_errors(document)), None)
