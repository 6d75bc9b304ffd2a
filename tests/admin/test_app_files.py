import gzip
from pathlib import Path
from typing import Any

from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import Site

from parachute_hub.admin.app_files import AdminApp
from parachute_hub.app.request_caller import RequestCaller
from parachute_hub.site.root import MountedArea, Root
from tests.support.asking import Answer, ask

PAGE = b"<!doctype html><title>Parachute</title>"
SCRIPT = b"console.log(1)\n" * 100


class AdminAppTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        (self.folder / "assets").mkdir(parents=True)
        (self.folder / "index.html").write_bytes(PAGE)
        (self.folder / "index.html.gz").write_bytes(gzip.compress(PAGE))
        (self.folder / "icon-192.png").write_bytes(b"\x89PNG")
        (self.folder / "assets" / "main-1a2b.js").write_bytes(SCRIPT)
        (self.folder / "assets" / "main-1a2b.js.gz").write_bytes(gzip.compress(SCRIPT))
        (self.folder.parent / "secret.html").write_bytes(b"secret")

    def ask(self, path: str, method: str = "GET", **headers: str) -> Answer:
        root = Root([MountedArea(("/admin",), AdminApp(self.folder))], is_secure=RequestCaller().is_secure)
        return ask(root, path, method=method, headers={name.replace("_", "-"): text for name, text in headers.items()})

    def ask_the_app_alone(self, path: str) -> bytes:
        """The response of the app alone, without the front."""
        channel: Any = Site(AdminApp(self.folder)).buildProtocol(None)
        transport = StringTransport()
        channel.makeConnection(transport)
        channel.dataReceived(f"GET {path} HTTP/1.1\r\nHost: hub.test\r\nConnection: close\r\n\r\n".encode())
        answer: bytes = transport.value()
        return answer

    def test_every_address_without_a_file_is_the_page(self) -> None:
        """Reloading any page of the app works; the page is never cached, so a new build shows immediately."""
        for path in ("/admin", "/admin/", "/admin/modules/vault", "/admin/what.ever", "/admin/assets/old-9f.js"):
            answer = self.ask(path)
            self.assertEqual((answer.status, answer.body), (200, PAGE), path)
            self.assertEqual(answer.header("Content-Type"), "text/html; charset=utf-8")
            self.assertEqual(answer.header("Cache-Control"), "no-store")

    def test_assets_are_kept_for_ever_and_other_files_for_a_day(self) -> None:
        """An asset's name changes with its content; an icon's does not."""
        script = self.ask("/admin/assets/main-1a2b.js")
        self.assertEqual((script.status, script.body), (200, SCRIPT))
        self.assertEqual(script.header("Content-Type"), "text/javascript; charset=utf-8")
        self.assertEqual(script.header("Cache-Control"), "public, max-age=31536000, immutable")
        self.assertEqual(self.ask("/admin/icon-192.png").header("Cache-Control"), "public, max-age=86400")

    def test_compressed_only_for_those_who_can_read_it(self) -> None:
        """Caches are told with Vary."""
        small = self.ask("/admin/assets/main-1a2b.js", Accept_Encoding="br, gzip")
        self.assertEqual(small.header("Content-Encoding"), "gzip")
        self.assertEqual(gzip.decompress(small.body), SCRIPT)
        self.assertEqual(small.header("Vary"), "Accept-Encoding")
        refused = self.ask("/admin/assets/main-1a2b.js", Accept_Encoding="gzip;q=0")
        self.assertEqual((refused.header("Content-Encoding"), refused.body), (None, SCRIPT))
        self.assertEqual(refused.header("Vary"), "Accept-Encoding")
        self.assertIsNone(self.ask("/admin/icon-192.png", Accept_Encoding="gzip").header("Content-Encoding"))

    def test_nothing_outside_the_folder_is_read(self) -> None:
        """Any spelling of `..`; compressed files are not served directly."""
        for path in (
            "/admin/../secret.html",
            "/admin/%2e%2e/secret.html",
            "/admin/..%2fsecret.html",
            "/admin/assets/..\\..\\secret.html",
            "/admin/%2E./secret.html",
            "/admin/index.html%00.js",
        ):
            self.assertTrue(self.ask_the_app_alone(path).startswith(b"HTTP/1.1 404 "), path)
            # Most never come so far: the front refuses a path that can be read in two ways.
            self.assertIn(self.ask(path).status, (400, 404), path)
        self.assertEqual(self.ask("/admin//etc/passwd").body, PAGE)
        self.assertEqual(self.ask("/admin/index.html.gz").body, PAGE)

    def test_head_has_the_headers_and_no_body(self) -> None:
        """RFC 9110; other methods are refused."""
        answer = self.ask("/admin/modules", method="HEAD")
        self.assertEqual((answer.status, answer.body), (200, b""))
        self.assertEqual(answer.header("Content-Type"), "text/html; charset=utf-8")
        self.assertEqual(self.ask("/admin/modules", method="POST").status, 405)

    def test_the_page_keeps_the_sites_security_headers(self) -> None:
        """Only our scripts, no frames."""
        policy = self.ask("/admin").header("Content-Security-Policy") or ""
        self.assertIn("default-src 'self'", policy)
        self.assertIn("frame-ancestors 'none'", policy)

    def test_without_a_build_it_says_what_to_do(self) -> None:
        """503, because a build fixes it."""
        (self.folder / "index.html").unlink()
        answer = self.ask("/admin")
        self.assertEqual((answer.status, answer.json()["error"]), (503, "not_built"))
        self.assertIn("make web", answer.json()["error_description"])
