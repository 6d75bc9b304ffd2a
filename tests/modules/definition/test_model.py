"""Rows and manifests: what is accepted, and the messages for what is not."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.modules.definition.model import MANIFEST_LIMIT, Manifest, ServiceRow
from parachute_hub.modules.definition.validation import Invalid

# What the published scribe writes itself
SCRIBE = {
    "name": "parachute-scribe",
    "port": 21943,
    "paths": ["/scribe"],
    "health": "/health",
    "version": "0.5.1",
    "installDir": "/x/node_modules/@openparachute/scribe",
    "displayName": "Scribe",
    "tagline": "Speech to text",
    "stripPrefix": True,
}
MANIFEST = {
    "name": "scribe",
    "manifestName": "parachute-scribe",
    "port": 1943,
    "paths": ["/scribe"],
    "health": "/health",
    "startCmd": ["parachute-scribe", "serve"],
    "stripPrefix": True,
    "uiUrl": "/scribe/admin",
    "scopes": {"defines": ["scribe:transcribe", "scribe:admin"]},
    "dependencies": {"vault": {"optional": True, "scopes": ["vault:read"]}},
    "kind": "ignored",
}


class Rows(SynchronousTestCase):
    def refusal(self, **changes: Any) -> str:
        raw = {name: value for name, value in {**SCRIBE, **changes}.items() if value is not ...}
        with self.assertRaises(Invalid) as caught:
            ServiceRow.parse(raw)
        return str(caught.exception)

    def test_a_real_row_comes_back_as_it_was(self) -> None:
        self.assertEqual(json.dumps(ServiceRow.parse(SCRIBE).to_json()), json.dumps(SCRIBE))

    def test_unknown_fields_and_the_order_stay_when_something_changes(self) -> None:
        raw = {"x-first": [1, {"a": None}], **SCRIBE, "kind": "api", "lastStartError": {"broken": 1}}
        row = ServiceRow.parse(raw).with_fields(port=5, tagline=None)
        told = row.to_json()
        self.assertEqual(list(told), [name for name in raw if name not in ("tagline", "lastStartError")])
        self.assertEqual((told["port"], told["x-first"], told["kind"]), (5, [1, {"a": None}], "api"))

    def test_refusals_name_field_and_rule(self) -> None:
        self.assertEqual(self.refusal(port=0), "port: must be a whole number from 1 to 65535")
        self.assertEqual(self.refusal(port=True), "port: must be a whole number from 1 to 65535")
        self.assertEqual(self.refusal(port=...), "port: must be a whole number from 1 to 65535")
        self.assertEqual(self.refusal(name=" "), "name: must be a non-empty string")
        self.assertEqual(self.refusal(paths="/x"), "paths: must be a list of strings")
        self.assertEqual(self.refusal(health="x"), "health: must be a path that starts with /")
        self.assertEqual(self.refusal(version=1), "version: must be a string")
        self.assertEqual(
            self.refusal(publicExposure="all"), "publicExposure: must be one of allowed, loopback, auth-required"
        )

    def test_sub_units_are_parsed(self) -> None:
        uis = {
            "notes": {"displayName": "Notes", "path": "/surface/notes", "status": "pending-oauth", "public": True},
            "old": {"displayName": "Old", "path": "/surface/old", "status": "disabled", "public": False},
        }
        notes, old = ServiceRow.parse({**SCRIBE, "uis": uis}).uis
        self.assertEqual((notes.status, notes.audience), ("pending", "public"))
        self.assertEqual((old.status, old.audience), ("inactive", None))
        bad = {"notes": {"displayName": "Notes", "path": "/n", "audience": "everybody"}}
        self.assertIn("uis.notes.audience: must be one of public", self.refusal(uis=bad))
        for wrong in ("vault:read", [""], [1]):
            unit = {"displayName": "Notes", "path": "/n", "scopes_required": wrong}
            self.assertIn("uis.notes.scopes_required: must be a list of", self.refusal(uis={"notes": unit}))

    @settings(deadline=None, max_examples=150, derandomize=True)
    @given(
        st.dictionaries(
            st.sampled_from([*SCRIBE, "uis", "websocket", "lastStartError", "other"]),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.text(max_size=8),
                lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
                max_leaves=6,
            ),
        )
    )
    def test_any_json_is_a_row_or_a_refusal(self, raw: dict[str, Any]) -> None:
        for candidate in (raw, {**SCRIBE, **raw}):
            try:
                row = ServiceRow.parse(candidate)
            except Invalid:
                continue
            again = ServiceRow.parse(json.loads(json.dumps(row.to_json())))
            self.assertEqual(again, row)


class Manifests(SynchronousTestCase):
    def refusal(self, **changes: Any) -> str:
        with self.assertRaises(Invalid) as caught:
            Manifest.parse({**MANIFEST, **changes})
        return str(caught.exception)

    def test_a_published_manifest_is_parsed(self) -> None:
        manifest = Manifest.from_bytes(json.dumps(MANIFEST).encode())
        self.assertEqual(manifest.start_cmd, ("parachute-scribe", "serve"))
        self.assertEqual(manifest.dependencies[0].short, "vault")
        self.assertEqual(manifest.raw["kind"], "ignored")

    def test_invalid_manifests_are_refused(self) -> None:
        for changes, text in (
            ({"name": "Scribe"}, "name: must be lower case"),
            ({"name": "../x"}, "name: must be lower case"),
            ({"startCmd": []}, "startCmd: must be a non-empty list"),
            ({"startCmd": ["a\0b"]}, "startCmd: must be a non-empty list"),
            ({"startCmd": "serve"}, "startCmd: must be a list of strings"),
            ({"init": "setup"}, "init: must be an object"),
            ({"init": {"command": "setup"}}, "init.command: must be a list of strings"),
            ({"init": {"command": []}}, "init.command: must be a non-empty list"),
            ({"scopes": {"defines": ["vault:admin"]}}, "scopes.defines: each must read scribe:<verb>"),
            ({"scopes": {"defines": ["scribe:a b"]}}, "scopes.defines: each must read scribe:<verb>"),
            ({"dependencies": {"../x": {}}}, "dependencies.../x: must be the short name"),
            ({"dependencies": {"vault": {"optional": 1}}}, "dependencies.vault.optional: must be true or false"),
            ({"focus": "x"}, "focus: must be one of core, experimental, deprecated"),
            ({"configSchema": {"type": "object"}}, "configSchema.properties: must be an object"),
            (
                {"configSchema": {"type": "object", "properties": {"a": {"type": "array"}}}},
                "configSchema.properties.a.type: must be one of",
            ),
            (
                {"configSchema": {"type": "object", "properties": {"a": {"type": "integer", "enum": ["x"]}}}},
                "configSchema.properties.a.enum: each must be a integer",
            ),
            (
                {"configSchema": {"type": "object", "properties": {}, "required": ["a"]}},
                'configSchema.required: names "a", which is not among the properties',
            ),
        ):
            self.assertIn(text, self.refusal(**changes))

    def test_urls_and_paths_are_validated(self) -> None:
        for good in ("https://x.test/a", "/scribe/admin", "admin/", "a/b"):
            self.assertEqual(Manifest.parse({**MANIFEST, "uiUrl": good}).ui_url, good)
        for bad in (
            "//evil.test",
            "javascript:alert(1)",
            "ftp://x",
            "../admin",
            "a/../../b",
            "a\\b",
            "/\\evil",
            "",
            "http://",
            "http://[",
        ):
            self.assertIn("uiUrl: must be", self.refusal(uiUrl=bad), bad)

    def test_size_depth_and_text(self) -> None:
        for content, text in (
            (b"x" * (MANIFEST_LIMIT + 1), "larger than 64 KiB"),
            (b"[" * 60000, "nested more than 32 deep"),
            (b'{"a":' + b"[" * 40 + b"]" * 40 + b"}", "nested more than 32 deep"),
            (b"\xff\xfe{}", "not"),
            (b"[]", "must be a JSON object"),
        ):
            with self.assertRaises(Invalid) as caught:
                Manifest.from_bytes(content)
            self.assertIn(text, str(caught.exception))
