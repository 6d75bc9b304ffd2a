from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.app.request_caller import RequestCaller
from parachute_hub.site.conventions import PREFIXES, Conventions
from parachute_hub.site.root import MountedArea, Root
from tests.support.asking import ask

NOW = 1_800_000_000.0  # 2027-01-15


class ConventionsTests(SynchronousTestCase):
    def setUp(self) -> None:
        conventions = Conventions(origin=lambda: "https://hub.test", clock=lambda: NOW)
        parts = [MountedArea(PREFIXES, conventions.app.resource())]
        self.root = Root(parts, is_secure=RequestCaller().is_secure)

    def test_search_engines_stay_out(self) -> None:
        answer = ask(self.root, "/robots.txt")
        self.assertEqual((answer.status, answer.body), (200, b"User-agent: *\nDisallow: /\n"))
        self.assertEqual(answer.header("Content-Type"), "text/plain; charset=utf-8")

    def test_password_managers_find_the_page(self) -> None:
        answer = ask(self.root, "/.well-known/change-password")
        self.assertEqual((answer.status, answer.header("Location")), (302, "/account/change-password"))

    def test_a_missing_resource_is_404_so_that_password_managers_believe_the_other(self) -> None:
        path = "/.well-known/resource-that-should-not-exist-whose-status-code-should-not-be-200"
        self.assertEqual(ask(self.root, path).status, 404)

    def test_security_txt_has_what_rfc_9116_requires(self) -> None:
        answer = ask(self.root, "/.well-known/security.txt")
        self.assertEqual(answer.status, 200)
        fields = dict(line.split(": ", 1) for line in answer.body.decode().splitlines() if not line.startswith("#"))
        self.assertEqual(fields["Expires"], "2027-07-14T00:00:00Z")
        self.assertEqual(fields["Canonical"], "https://hub.test/.well-known/security.txt")
        self.assertTrue(fields["Contact"].startswith("https://"))
