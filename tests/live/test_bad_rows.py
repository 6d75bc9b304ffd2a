"""A whole hub with unexpected content in services.json and module files: while it runs, and across a restart."""

import json
import os
import time
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.live.harness import HubProcess, fetch, hub, packed_examples

# Rows as text: no JSON library writes most of these.
_REST = '"port":5555,"paths":["/x"],"health":"/","version":"1"'
BAD_ROWS: dict[str, str] = {
    "name is an object": '{"name":{"a":1},' + _REST + "}",
    "name is a list": '{"name":["x"],' + _REST + "}",
    "name is a number": '{"name":1e999,' + _REST + "}",
    "name leads out of the home": '{"name":"../../x",' + _REST + "}",
    "name with NUL": '{"name":"a\\u0000b",' + _REST + "}",
    "port is huge": '{"name":"broken","port":' + "9" * 5000 + ',"paths":["/broken"],"health":"/","version":"1"}',
    "port is a float": '{"name":"floaty","port":5555.5,"paths":["/x"],"health":"/","version":"1"}',
    "no object": "null",
    "a list": "[[[]]]",
    "long installDir": '{"name":"long","installDir":"/' + "a" * 5000 + '","port":5601,'
    '"paths":["/long"],"health":"/","version":"1"}',
    "surrogates everywhere": '{"name":"half","port":5602,"paths":["/half","/\\ud800"],"health":"/\\udfff",'
    '"version":"\\ud800","tagline":"\\ud83d","displayName":"\\udc00","extra":["\\ud800",{"\\ud801":NaN}],'
    '"uis":{"\\ud800":{"displayName":"\\ud800","path":"/half/\\ud800","audience":"operator"}}}',
    "NaN and infinities": '{"name":"nan","port":5603,"paths":["/nan"],"health":"/","version":"1",'
    '"load":[NaN,Infinity,-Infinity,1e999]}',
    "a version that is no number": '{"name":"parachute-vault","port":5604,"paths":["/vault/default"],'
    '"health":"/","version":"1.0.0-' + "1" * 5000 + '"}',
    "a name of the document's own": '{"name":"vaults","port":5605,"paths":["/vaults"],"health":"/","version":"1"}',
    "keys twice": '{"name":"x","name":"twice","port":5606,"port":5606,"paths":["/twice"],"health":"/","version":"1"}',
}
SCRIBE = '{"name":"parachute-scribe","port":5608,"paths":["/scribe"],"health":"/","version":"1"}'
DEEP = '{"name":"deep","x":' + "[" * 5000 + "]" * 5000 + ',"port":5607,"paths":["/deep"],"health":"/","version":"1"}'


def append(services: Path, row: str) -> None:
    """As a careless module does: text, not JSON values."""
    before = services.read_text()
    body = before.rstrip().removesuffix("}").rstrip().removesuffix("]").rstrip()
    comma = "" if body.endswith("[") else ","
    services.write_text(f"{body}{comma}\n{row}\n]}}\n")


class BadRows(SynchronousTestCase):
    hub: HubProcess

    def setUp(self) -> None:
        self.hub = hub(self, catalog=packed_examples()).start()
        self.hub.install("hello")

    def listing(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.hub.client.call("GET", "/api/modules")["modules"]
        return found

    def check(self, what: str) -> None:
        """Everything unrelated to the bad row answers."""
        for path in (
            "/health",
            "/hello",
            "/",
            "/.well-known/parachute.json",
            "/.well-known/oauth-authorization-server",
        ):
            answer = fetch(self.hub.url + path)
            self.assertEqual(answer.status, 200, f"{what}: {path}: {answer.body[:300]!r}")
        document = fetch(f"{self.hub.url}/.well-known/parachute.json").json()
        self.assertIsInstance(document["vaults"], list, what)
        self.assertIn("hello", [one["name"].removeprefix("parachute-") for one in document["services"]], what)
        self.assertTrue(any(module["short"] == "hello" and module["installed"] for module in self.listing()), what)
        self.hub.client.call("GET", "/vaults")

    def replace_services(self, content: bytes | None, *, folder: bool = False) -> None:
        """What a module may leave when it crashes while writing; None for a pipe, which would block a reader."""
        services = self.hub.home / "services.json"
        if services.is_dir():
            services.rmdir()
        services.unlink(missing_ok=True)
        if folder:
            services.mkdir()
        elif content is None:
            os.mkfifo(services)
        else:
            services.write_bytes(content)

    def restart(self, what: str) -> None:
        self.hub.stop()
        self.hub.start()
        self.hub.wait_for(lambda: fetch(f"{self.hub.url}/hello").status == 200, f"hello to answer ({what})")
        self.check(f"{what}, after a restart")

    def test_rows(self) -> None:
        """Every bad row while the hub runs, all of them across a restart; those with a name can be removed."""
        services = self.hub.home / "services.json"
        for what, row in BAD_ROWS.items():
            append(services, row)
            time.sleep(0.12)
            self.check(what)
        time.sleep(2.5)
        self.check("after the periodic tasks")
        self.restart("bad rows")
        removed = {"half", "nan", "twice", "broken", "vaults", "long"}
        for short in sorted(removed):
            self.hub.client.call("POST", f"/api/modules/{short}/uninstall")
            self.check(f"{short} was removed")
        left = [row["name"] for row in json.loads(services.read_bytes())["services"] if isinstance(row, dict)]
        self.assertEqual(removed & {name for name in left if isinstance(name, str)}, set())
        append(services, DEEP)
        time.sleep(0.12)
        self.check("nested without end")
        self.restart("nested without end")
        self.assertNotIn("Traceback", self.hub.log())

    def test_files(self) -> None:
        """services.json as a whole, and module files that the hub reads at the start."""
        whole = (self.hub.home / "services.json").read_bytes()
        for what, content in {
            "empty": b"",
            "NUL": bytes(4096),
            "not UTF-8": b"\xff\xfe" + whole,
            "UTF-16": whole.decode().encode("utf-16"),
            "a list": b"[]",
            "brackets": b"[" * 1_000_000,
            "larger than allowed": whole + b" " * (5 << 20),
            "cut": whole[: len(whole) // 2],
            "a pipe": None,
            "a folder": b"",
        }.items():
            self.replace_services(content, folder=what == "a folder")
            for _ in range(4):
                self.check(what)
                time.sleep(0.05)
            time.sleep(1.2)
            self.check(f"{what}, after the periodic tasks")
        self.replace_services(None)
        deep = b"[" * 100_000
        data = self.hub.home / "scribe"
        data.mkdir(exist_ok=True)
        (data / "config.json").write_bytes(deep)
        (self.hub.home / "hub" / "jobs" / "bad.json").write_bytes(deep)
        os.mkfifo(self.hub.home / "hub" / "jobs" / "pipe.json")
        os.mkfifo(self.hub.home / "hello" / ".env") if (self.hub.home / "hello").is_dir() else None
        time.sleep(2.5)
        append(self.hub.home / "services.json", SCRIBE)
        self.restart("bad files")
        self.replace_services(deep)
        self.restart("brackets")
        self.assertNotIn("Traceback", self.hub.log())
