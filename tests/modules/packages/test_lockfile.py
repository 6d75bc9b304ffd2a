import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.modules.packages.lockfile import BadLock, LockedPackage, check, integrity

HASH = "sha512-4QKeQC+v8yMuvmrk6BijAVIVPvFT4qLxthhfUhzQAlaSeIK6Q1XCM9NmWmlylg11ExkVVSgpqrUdUayiEe40hw=="
TOY: list[Any] = ["@toys/toy@1.0.0", "", {}, HASH]


def lock(**packages: Any) -> bytes:
    """As bun writes it, with trailing commas."""
    text = json.dumps({"lockfileVersion": 2, "packages": {"@toys/toy": TOY, **packages}}, indent=2)
    return text.replace("]\n", "],\n").encode()


class Lockfiles(SynchronousTestCase):
    def refusal(self, content: bytes, **options: Any) -> str:
        with self.assertRaises(BadLock) as caught:
            check(content, "@toys/toy", ["http://127.0.0.1:4873"], **options)
        return str(caught.exception)

    def test_what_the_registry_says_of_it(self) -> None:
        content = lock(left=["left@1.2.3", "", {"dependencies": {"right": "1, ]"}}, HASH])
        self.assertEqual(check(content, "@toys/toy", ()), LockedPackage("1.0.0", HASH, ""))

    def test_the_hash_of_one_package(self) -> None:
        content = lock(local=["local@toy.tgz", {}, HASH], folder=["folder@link:../x", {}])
        found = [integrity(content, package) for package in ("@toys/toy", "local", "folder", "nobody")]
        self.assertEqual(found, [HASH, None, None, None])

    def test_what_comes_from_where_it_may_not(self) -> None:
        for case, entry, words in (
            ("no hash", ["x@1.0.0", "", {}, ""], "no integrity hash"),
            ("a hash that is none", ["x@1.0.0", "", {}, "sha512-"], "no integrity hash"),
            ("plain http", ["x@http://example.com/x.tgz", {}, HASH], "by https from public"),
            ("https without a hash", ["x@https://example.com/x.tgz", {}, ""], "no integrity hash"),
            ("a private address", ["x@https://192.168.1.1/x.tgz", {}, HASH], "by https from public"),
            ("loopback", ["x@https://127.0.0.1/x.tgz", {}, HASH], "by https from public"),
            ("loopback by number", ["x@https://2130706433/x.tgz", {}, HASH], "by https from public"),
            ("IPv6", ["x@https://[::1]/x.tgz", {}, HASH], "by https from public"),
            ("a mapped address", ["x@https://[::ffff:10.0.0.1]/x.tgz", {}, HASH], "by https from public"),
            ("a local name", ["x@https://printer.local/x.tgz", {}, HASH], "by https from public"),
            ("localhost", ["x@https://localhost/x.tgz", {}, HASH], "by https from public"),
            ("a name in the URL", ["x@https://a@example.com/x.tgz", {}, HASH], "by https from public"),
            (
                "its tarball elsewhere",
                ["x@1.0.0", "http://10.0.0.1/x.tgz", {}, HASH],
                "by https from public",
            ),
            ("git", ["x@git+https://example.com/x.git#abc", {}, "abc"], "not from the registry"),
            ("GitHub", ["x@github:someone/x#abc", {}, "abc"], "not from the registry"),
            ("a folder", ["x@file:../x", {}], "not from the registry"),
            ("a link", ["x@link:../x", {}], "not from the registry"),
            ("nothing", [], "does not say"),
            ("a number", [1], "does not say"),
        ):
            with self.subTest(case):
                self.assertIn(words, self.refusal(lock(x=entry)))

    def test_verified_packages_are_accepted(self) -> None:
        for case, entry in (
            ("https from a public host", ["x@https://example.com/x.tgz", {}, HASH]),
            ("the configured registry", ["x@1.0.0", "http://127.0.0.1:4873/x/-/x-1.0.0.tgz", {}, HASH]),
            ("another name for it", ["other@1.0.0", "", {}, HASH]),
        ):
            with self.subTest(case):
                self.assertIsNotNone(check(lock(x=entry), "@toys/toy", ["http://127.0.0.1:4873"]))

    def test_a_tarball_of_this_machine(self) -> None:
        self.assertIsNone(check(lock(**{"@toys/toy": ["@toys/toy@/tmp/toy.tgz", {}]}), "@toys/toy", (), local=True))
        content = lock(**{"@toys/toy": ["@toys/toy@/tmp/toy.tgz", {}], "x": ["x@1.0.0", "", {}, ""]})
        self.assertIn("no integrity", self.refusal(content, local=True))

    def test_another_package_in_its_place(self) -> None:
        self.assertIn("different package", self.refusal(lock(**{"@toys/toy": ["evil@1.0.0", "", {}, HASH]})))
        self.assertIn("different package", self.refusal(b'{"packages": {}}'))

    @given(st.binary(max_size=60) | st.text(alphabet='{}[]",:@packges1', max_size=40).map(str.encode))
    def test_any_content_is_accepted_or_refused(self, content: bytes) -> None:
        self.refusal(content)
        self.refusal(b'{"packages": {"a": [' + content + b"]}}")
