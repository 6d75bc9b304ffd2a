"""What an idle hub must not load. Each module costs memory for as long as the hub runs."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.backup.records import BackupPlace, BackupsFile, BackupState
from parachute_hub.notices.records import Destination, NoticesFile, NoticeState
from tests.live.harness import OWNER

ROOT = Path(__file__).parent.parent.parent
_HUB = """
import json, sys
from parachute_hub.system import libraries, loading
libraries.defer_unused()
from twisted.scripts import twistd
from parachute_hub import tap

list(twistd.ServerOptions().subCommands)  # It looks at all plugins for the hub's.
options = tap.Options()
options.parseOptions(["--home", sys.argv[1], "--listen", "tcp:0:interface=127.0.0.1"])
hub = tap.makeService(options)
from twisted.internet import reactor
from twisted.internet.threads import deferToThread

def look():
    if hub.phase.name == "starting":
        reactor.callLater(0.05, look)
    elif hub.phase.name == "up" and "checks" not in told:
        told["checks"] = "begun"  # The first checks for problems load what they need.
        reactor.callLater(1.5, look)
    else:
        gc.unfreeze()  # The collector tells nothing of what it leaves alone.
        told.update(
            phase=hub.phase.name,
            modules=sorted(name for name, each in sys.modules.items() if each and loading.is_loaded(each)),
            classes=sum(1 for each in gc.get_objects() if isinstance(each, type)),
        )
        asking = deferToThread(ask, [prefix.decode() for prefix, part in hub.root._parts if part.code])
        asking.addErrback(lambda failure: told.update(error=failure.getTraceback()))
        asking.addCallback(lambda _: hub.stopService()).addBoth(lambda _: reactor.stop())

def ask(paths):
    import http.client
    for path in paths:
        connection = http.client.HTTPConnection("127.0.0.1", hub._port.getHost().port, timeout=30)
        connection.request("GET", path, headers={"Authorization": "Bearer x"})
        told["answers"][path] = connection.getresponse().status
        connection.close()
    told["late"] = [
        each.__name__ for _, part in hub.root._parts for each in part.code if not loading.is_loaded(each)
    ]

import gc
told = {"answers": {}}
reactor.callWhenRunning(hub.startService)
reactor.callLater(0.05, look)
reactor.run()
print(json.dumps(told))
"""
_STARTING = """
import gc, json, sys
from parachute_hub.system import libraries
libraries.defer_unused()
from twisted.scripts import twistd
from parachute_hub import tap
from parachute_hub.app import stages

options = tap.Options()
options.parseOptions(["--home", sys.argv[1], "--listen", "tcp:0:interface=127.0.0.1"])
hub = tap.makeService(options)
from twisted.internet import reactor
from twisted.internet.threads import deferToThread
told = {}

def ask(method, path):
    import http.client
    connection = http.client.HTTPConnection("127.0.0.1", hub._port.getHost().port, timeout=30)
    connection.request(method, path, headers={"Accept": "text/html"})
    found = connection.getresponse()
    return found.status, found.read().decode()

def look():
    told["loaded"] = [name for name, each in sys.modules.items() if each and stages.loading.is_loaded(each)]
    gc.unfreeze()
    told["classes"] = sum(1 for each in gc.get_objects() if isinstance(each, type))
    told["phase"] = hub.phase.name

def end_with(answer):
    answer.addCallback(lambda found: told.update(waited=found, phase_then=hub.phase.name))
    answer.addBoth(lambda _: hub.stopService()).addBoth(lambda _: reactor.stop())

"""
_FIRST = (
    _STARTING
    + """
start_modules = stages._start_modules

async def first_ask(core, on):
    told["first"] = await deferToThread(ask, "GET", "/admin/setup")
    look()
    posted = deferToThread(ask, "POST", "/admin/setup/account")
    await start_modules(core, on)
    end_with(posted)

stages._start_modules = first_ask
"""
)
_MODULES_FIRST = (
    _STARTING
    + """
loaded = stages._loaded

async def first_ask(core, *code):
    if stages.compose in code:
        told["first"] = await deferToThread(ask, "GET", "/health")
        look()
        told["run"] = len(hub._begun._stops)
        end_with(deferToThread(ask, "GET", "/api/ready"))
    await loaded(core, *code)

stages._loaded = first_ask
"""
)
_RUN = """
reactor.callWhenRunning(hub.startService)
reactor.run()
print(json.dumps(told))
"""
# What the hub asks modules for in each start: their settings, and whether their links lead to pages.
_ASKING = """
import json, sys
from pathlib import Path
from types import SimpleNamespace
from parachute_hub.system import libraries, loading
libraries.defer_unused()
with loading.without("OpenSSL"):
    import twisted.web.client
    from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.web.resource import Resource
from twisted.web.server import Site
from parachute_hub.modules.launch.configuration import Configuration
from parachute_hub.system.pinned import loopback_agent

class Module(Resource):
    isLeaf = True
    def render(self, request):
        return json.dumps({"method": request.method.decode(), "sent": request.content.read().decode()}).encode()

class Tokens:
    async def for_administration(self, short, instance):
        return "token"

port = reactor.listenTCP(0, Site(Module()), interface="127.0.0.1")
directory = SimpleNamespace(short_of=lambda name: name, mounts=lambda row: ["/toy"], entry=lambda short: None)
configuration = Configuration(
    home=Path("."), directory=directory, agent=loopback_agent(reactor), clock=reactor, tokens=Tokens(),
    reach=None, listens=lambda short: port.getHost().port,
)
row = SimpleNamespace(name="toy", is_vault=False)
told = {}

async def ask():
    for method, body in (("GET", None), ("PUT", {"volume": 3})):
        told[method] = await configuration._ask(method, row, None, "/config", body, used=False)

def ended(failure):
    told["error"] = failure.getTraceback()

asking = Deferred.fromCoroutine(ask()).addErrback(ended)
asking.addCallback(lambda _: reactor.callWhenRunning(reactor.stop))
reactor.run()
told["loaded"] = [name for name, each in sys.modules.items() if each and loading.is_loaded(each)]
print(json.dumps(told))
"""
_SENDING = ("senders", "webpush", "email_sender", "apprise_sender")
# Who may load it, and when.
_RARE = {
    "asyncio.base_events": "the local name (zeroconf)",
    "cryptography.x509": "a certificate of the local name, and a key in a certificate",
    "decimal": "nobody",
    "difflib": "nobody",
    "email.message": "a notice by e-mail, and files in forms",
    "html.entities": "html.unescape",
    "hyperlink._url": "nobody",
    "email.utils": "a notice by e-mail",
    "idna": "a host name that is looked up by Twisted",
    "klein._form": "nobody",
    "http.client": "nobody",
    "ssl": "connections of http.client",
    "twisted.spread.pb": "nobody",
    "twisted.internet.unix": "--listen unix:...",
    "urllib.request": "nobody",
    "zipfile": "nobody",
    "cbor2": "the process that verifies a passkey",
    "apprise": "the process that sends through it",
    "backports.zstd": "the worker of backups",
    "joserfc.jwe": "nobody: the hub encrypts no tokens",
    "joserfc.jwt": "joserfc.jwt loads encryption; push notices may, when one is sent",
    "multipart": "nobody",
    "obstore": "the worker of backups",
    "OpenSSL": "the first outgoing connection over TLS",
    "pdb": "nobody",
    "prometheus_client": "the first request for /metrics",
    "pyrage": "the worker of backups",
    "parachute_hub.admin.modules_api": "its first request, as every area",
    "parachute_hub.oauth.tokens.tokens_api": "its first request, as every area",
    "parachute_hub.accounts.setup.pages": "its first request, as every area",
    "pyotp": "a sign-in with an authenticator app",
    "segno": "a page that shows a QR code",
    "parachute_hub.backup.archive.layout": "the first request for backups, and a hub that has a place for them",
    "parachute_hub.backup.restore": "the first request of a restore",
    "parachute_hub.migration.plan": "moving in",
    "parachute_hub.notices.senders": "the first request for notices, and a hub that has a destination for them",
    "parachute_hub.oauth.authorization.policy": "the first app or device that asks to be let in",
    "parachute_hub.oauth.lockdown": "its first request, as every area",
    "smtplib": "a notice by e-mail",
    "tempfile": "a copy in progress, and large bodies",
    "tarfile": "an install from a tarball, and the worker of backups",
    "treq": "nobody: an Agent on loopback does",
    "service_identity": "the first outgoing connection over TLS",
    "twisted.mail": "nobody",
    "unittest": "tests; the plugins that twistd looks at import it",
    "werkzeug.http": "the first cookie",
    "werkzeug.serving": "nobody",
    "werkzeug.test": "nobody",
    "webauthn": "the process that verifies a passkey",
    "zeroconf": "a hub with a name in the local network",
    "wsgiref": "prometheus_client",
    "zoneinfo": "quiet hours and updates at night in a time zone",
}
# 866 and 2,700 when this was written, with the 12 plugins of Twisted that twistd looks at. Raise it for a feature that
# every idle hub needs, not for one that few use.
_MOST = 880
_MOST_CLASSES = 2_785
_LATER = {"joserfc", *(f"parachute_hub.{name}" for name in ("app.compose", "oauth.assemble", "supervise.supervisor"))}
# When the wizard has asked its first question. 641 and 2,343 when this was written.
_MOST_AT_FIRST = 660
_MOST_CLASSES_AT_FIRST = 2_420


def _run(program: str, home: str, environment: Mapping[str, str] = {}) -> "subprocess.CompletedProcess[bytes]":
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PARACHUTE_")}
    return subprocess.run(
        [sys.executable, "-c", program, home],
        capture_output=True,
        cwd=ROOT,
        env={**clean, **environment},
        timeout=120,
        check=False,
    )


class IdleImportTests(SynchronousTestCase):
    def test_an_idle_hub_loads_nothing_that_few_need(self) -> None:
        """And every area that it has not loaded answers its first request."""
        with tempfile.TemporaryDirectory() as folder:
            ended = _run(_HUB, str(Path(folder) / "home"), OWNER)
        self.assertEqual(ended.returncode, 0, ended.stderr.decode())
        told = json.loads(ended.stdout.splitlines()[-1])
        self.assertNotIn("error", told)
        self.assertEqual(told["phase"], "up")
        loaded = told["modules"]
        back = {name: who for name, who in _RARE.items() if name in loaded}
        self.assertEqual(back, {}, "Load these where they are used, not with the hub.")
        self.assertLess(len(loaded), _MOST)
        self.assertLess(told["classes"], _MOST_CLASSES)
        self.assertGreater(len(told["answers"]), 40)
        self.assertEqual({path: status for path, status in told["answers"].items() if status >= 500}, {})
        self.assertEqual(told["late"], [])

    def test_asking_a_module_loads_nothing_that_few_need(self) -> None:
        """An idle hub has asked each of its modules for its settings."""
        ended = _run(_ASKING, "")
        self.assertEqual(ended.returncode, 0, ended.stderr.decode())
        told = json.loads(ended.stdout.splitlines()[-1])
        self.assertNotIn("error", told)
        self.assertEqual(told["GET"], {"method": "GET", "sent": ""})
        self.assertEqual(told["PUT"], {"method": "PUT", "sent": '{"volume": 3}'})
        self.assertEqual({name: who for name, who in _RARE.items() if name in told["loaded"]}, {})

    def test_what_works_without_a_request_is_loaded_at_the_start_where_it_is_in_use(self) -> None:
        """Else an update on the disk would end backups and notices until the hub restarts."""
        with tempfile.TemporaryDirectory() as folder:
            kept = Path(folder) / "home" / "hub"
            kept.mkdir(parents=True)
            place = BackupPlace(id="p", kind="folder", label="Disk", added_at=0.0, path="/nowhere")
            BackupsFile(kept / "backups.json").change(BackupState(places=(place,)))
            destination = Destination(id="d", kind="ntfy", label="ntfy", sealed="00", added_at=0.0)
            NoticesFile(kept / "notices.json").write(NoticeState(destinations=(destination,)), {})
            ended = _run(_HUB, str(kept.parent), OWNER)
        self.assertEqual(ended.returncode, 0, ended.stderr.decode())
        loaded = json.loads(ended.stdout.splitlines()[-1])["modules"]
        needed = ("backup.archive.layout", *(f"notices.{name}" for name in _SENDING))
        self.assertEqual([name for name in needed if f"parachute_hub.{name}" not in loaded], [])

    def test_the_first_question_is_asked_before_modules_and_issuer_are_loaded(self) -> None:
        """And what answers it is kept until the hub is up."""
        with tempfile.TemporaryDirectory() as folder:
            ended = _run(_FIRST + _RUN, str(Path(folder) / "home"))
        self.assertEqual(ended.returncode, 0, ended.stderr.decode())
        told = json.loads(ended.stdout.splitlines()[-1])
        status, page = told["first"]
        self.assertEqual((status, told["phase"]), (200, "starting"), page)
        self.assertIn("bootstrap_token", page)
        self.assertEqual(_LATER & set(told["loaded"]), set())
        self.assertLess(len(told["loaded"]), _MOST_AT_FIRST)
        self.assertLess(told["classes"], _MOST_CLASSES_AT_FIRST)
        self.assertEqual((told["waited"][0], told["phase_then"]), (403, "up"))

    def test_any_other_hub_starts_its_modules_first(self) -> None:
        """And requests wait until it is up, all but those for /health."""
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "hub.db").touch()  # An older hub was here.
            ended = _run(_MODULES_FIRST + _RUN, folder)
        self.assertEqual(ended.returncode, 0, ended.stderr.decode())
        told = json.loads(ended.stdout.splitlines()[-1])
        self.assertEqual((told["first"][0], told["phase"], told["run"]), (200, "starting", 1))
        self.assertEqual({"joserfc", "argon2"} & set(told["loaded"]), set())
        self.assertEqual((told["waited"][0], told["phase_then"]), (200, "up"))

    def test_a_module_host_loads_neither_accounts_nor_issuer(self) -> None:
        asked = "import sys, parachute_hub.app.host, parachute_hub.app.hosted; print(*sys.modules)"
        done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, cwd=ROOT, timeout=60)
        loaded = done.stdout.split()
        self.assertIn("parachute_hub.app.hosted", loaded, done.stderr)
        back = {name for name in loaded if name.startswith(("parachute_hub.oauth", "parachute_hub.accounts.signin"))}
        self.assertEqual(back | ({"joserfc", "argon2", "pyotp", "apprise", "treq", "pyrage"} & set(loaded)), set())
