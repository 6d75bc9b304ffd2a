"""The process that backs up, verifies and restores, run for real."""

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pyrage
from twisted.trial.unittest import TestCase

from parachute_hub.backup.archive.destinations import explain
from parachute_hub.backup.archive.layout import archive_name
from tests.backup.archive.test_archive import header, make_home

KEY = pyrage.x25519.Identity.generate()
NAME = archive_name("0123abcd", 5.0)


def work(job: dict[str, Any], archive: bytes = b"") -> tuple[list[dict[str, Any]], bytes]:
    """Reports and stdout of one run."""
    out, into = os.pipe()
    command = [sys.executable, "-c", f"import os; os.dup2({into}, 3); " + _RUN]
    try:
        done = subprocess.run(
            command, input=json.dumps(job).encode() + b"\n" + archive, stdout=subprocess.PIPE, pass_fds=(into,)
        )
    finally:
        os.close(into)
    with os.fdopen(out) as reports:
        return [json.loads(line) for line in reports], done.stdout


_RUN = "import sys; from parachute_hub.backup.archive.worker import main; sys.exit(main())"


class WorkerTests(TestCase):
    """From the home to a folder, and from there to another home."""

    def setUp(self) -> None:
        root = Path(self.mktemp()).absolute()
        self.home, self.folder, self.out = root / "home", root / "disk", root / "out"
        self.folder.mkdir(parents=True)
        make_home(self.home, {"vault/note": b"words", "modules/store/v/1/x.js": b"code", "modules/cache/y": b"1"})
        self.at = {"kind": "folder", "path": str(self.folder)}

    def backup(self, to: object, **values: object) -> tuple[list[dict[str, Any]], bytes]:
        job = {"do": "backup", "home": str(self.home), "header": header(**values).to_json(), "name": NAME, "to": to}
        return work({**job, "recipient": str(KEY.to_public())})

    def unpack(self, source: object, archive: bytes = b"", **values: object) -> list[dict[str, Any]]:
        job = {"do": "unpack", "home": str(self.home), "from": source, "name": NAME, "into": str(self.out)}
        return work({**job, "identity": str(KEY), "most": 1 << 40, **values}, archive)[0]

    def files(self) -> list[str]:
        return sorted(str(path.relative_to(self.out)) for path in self.out.rglob("*") if path.is_file())

    def test_to_a_folder_and_back(self) -> None:
        reports, _ = self.backup(self.at)
        self.assertEqual(reports[-1]["event"], "done", reports)
        listed, _ = work({"do": "list", "at": self.at})
        self.assertEqual([(one["name"], one["madeAt"]) for one in listed[-1]["archives"]], [(NAME, 5.0)])
        check = {
            "do": "verify",
            "home": str(self.home),
            "from": self.at,
            "name": NAME,
            "identity": str(KEY),
            "most": 1000,
        }
        verified, _ = work(check)
        self.assertEqual((verified[-1]["event"], verified[-1]["files"]), ("done", 1), verified)
        self.assertFalse(verified[-1]["unpacked"])
        for size, unpacked in ((1000, True), (1 << 60, False)):
            verified, _ = work({**check, "whole": True, "size": size})
            self.assertEqual((verified[-1]["event"], verified[-1]["unpacked"]), ("done", unpacked), verified)
            self.assertEqual(os.listdir(self.home / "tmp"), [])
        reports = self.unpack(self.at)
        self.assertEqual([report["event"] for report in reports if report["event"] != "progress"], ["header", "done"])
        self.assertEqual(self.files(), ["vault/note"])
        work({"do": "delete", "at": self.at, "names": [NAME, NAME]})
        self.assertEqual(os.listdir(self.folder), [])

    def test_a_download_and_an_upload(self) -> None:
        _, archive = self.backup("stdout")
        self.assertEqual(self.unpack("stdin", archive)[-1]["event"], "done")
        self.assertEqual(self.files(), ["vault/note"])

    def test_programs_go_along_when_they_are_asked_for(self) -> None:
        self.backup(self.at, programs=True)
        self.unpack(self.at)
        self.assertEqual(self.files(), ["modules/store/v/1/x.js", "vault/note"])

    def test_what_goes_wrong_is_told_and_leaves_nothing(self) -> None:
        self.backup(self.at)
        archive = (self.folder / NAME).read_bytes()
        cases: dict[str, tuple[dict[str, Any], bytes, str]] = {
            "another key": ({"identity": str(pyrage.x25519.Identity.generate())}, archive, "wrong_recovery_key"),
            "no key": ({"identity": "x"}, archive, "wrong_recovery_key"),
            "half of it": ({}, archive[: len(archive) // 2], "damaged"),
            "nothing": ({}, b"", "damaged"),
            "too large": ({"most": 1}, archive, "damaged"),
        }
        for name, (values, content, kind) in cases.items():
            reports = self.unpack("stdin", content, **values)
            self.assertEqual((reports[-1]["event"], reports[-1].get("kind")), ("failed", kind), (name, reports))
            self.assertFalse(self.out.exists(), name)
            self.assertEqual(os.listdir(self.home / "tmp"), [], name)

    def test_only_a_sound_hub_takes_the_place_of_another(self) -> None:
        """Without one, applying it would leave no hub at all."""
        for name, content in {
            "none": None,
            "garbage": b"x",
            "empty": b"",
            "torn": b"SQLite format 3\0" + b"x" * 99,
        }.items():
            if content is not None:
                (self.home / "parachute.db").write_bytes(content)
            _, archive = self.backup("stdout")
            report = self.unpack("stdin", archive, hub=True)[-1]
            self.assertEqual((report["event"], report.get("kind")), ("failed", "damaged"), name)
            self.assertFalse(self.out.exists(), name)
        (self.home / "parachute.db").unlink()
        with closing(sqlite3.connect(self.home / "parachute.db")) as made:
            made.execute("CREATE TABLE users (id)")
        _, archive = self.backup("stdout")
        self.assertEqual(self.unpack("stdin", archive, hub=True)[-1]["event"], "done")

    def test_a_destination_that_is_not_there(self) -> None:
        cases: dict[str, dict[str, Any]] = {
            "no_folder": {"kind": "folder", "path": "/nowhere"},
            "unreachable": {
                "kind": "s3",
                "endpoint": "http://127.0.0.1:1",
                "bucket": "b",
                "key_id": "k",
                "secret": "s",
            },
        }
        for kind, at in cases.items():
            reports, _ = work({"do": "probe", "at": {**at, "patience": 1}, "home": str(self.home)})
            self.assertEqual((reports[-1]["event"], reports[-1]["kind"]), ("failed", kind), reports)

    def test_a_folder_is_tried_before_it_is_used(self) -> None:
        reports, _ = work({"do": "probe", "at": self.at, "home": str(self.home)})
        self.assertEqual((reports[-1]["event"], os.listdir(self.folder)), ("done", []))
        (self.folder / "link").symlink_to(self.home)
        for path in (self.home, self.home / "hub", self.folder / "link"):
            reports, _ = work({"do": "probe", "at": {"kind": "folder", "path": str(path)}, "home": str(self.home)})
            self.assertEqual(reports[-1].get("kind"), "inside_home", path)


class ExplainTests(TestCase):
    """Storage errors in plain words, by S3's error codes."""

    def test_each_error_code_is_explained(self) -> None:
        for text, kind in {
            "<Code>SignatureDoesNotMatch</Code>": "wrong_key",
            "<Code>InvalidAccessKeyId</Code>": "wrong_key",
            "status code: 403 Forbidden: <Code>AccessDenied</Code>": "refused",
            "403 <Code>RequestTimeTooSkewed</Code>": "clock",
            "404 <Code>NoSuchBucket</Code>": "no_bucket",
            "400 <Code>XAmzContentSHA256Mismatch</Code>": "changed",
            "400 <Code>AuthorizationHeaderMalformed</Code>": "region",
            "Received redirect without LOCATION, this normally indicates an incorrectly configured region": "region",
            "HTTP error: request or response body error": "interrupted",
            "503 <Code>SlowDown</Code>": "slow_down",
            "Server returned non-2xx status code: 500 Internal Server Error": "slow_down",
            "HTTP error: error sending request\n\nDebug source:\nSlowDown": "unreachable",
            "dns error: failed to lookup address": "unreachable",
            "something else": "failed",
        }.items():
            self.assertEqual(explain(text).kind, kind, text)
