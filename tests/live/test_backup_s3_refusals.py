"""What an S3 server refuses by itself, what only the proxy in front of it does, and what a backup says of either.

docs/faults.md has the table.
"""

from typing import Any

from attrs import field, frozen
from twisted.trial.unittest import SynchronousTestCase

from tests.backup.archive.test_worker import work
from tests.live.s3_rig import ALL, Bucket, Fault, bucket, code_of

DAY = 86400.0
OBJECT = "home/object"


@frozen
class Refusal:
    """`code` is S3's word; `kind` is ours. `told` is what the owner said wrongly, `allowed` what the key may do.

    `asked` is the request that shows who refuses.
    """

    code: str
    kind: str
    told: dict[str, Any] = field(factory=dict)
    allowed: tuple[str, ...] = ALL
    asked: tuple[str, str] = ("GET", "")


BY_THE_SERVER = {
    "wrong key": Refusal("InvalidAccessKeyId", "wrong_key", {"key_id": "AKIANOBODY"}),
    "wrong secret": Refusal("SignatureDoesNotMatch", "wrong_key", {"secret": "another"}),
    "no such bucket": Refusal("NoSuchBucket", "no_bucket", {"bucket": "other"}),
    "may not write": Refusal(
        "AccessDenied", "refused", allowed=("s3:ListBucket", "s3:GetObject"), asked=("PUT", OBJECT)
    ),
    "may not read": Refusal("AccessDenied", "refused", allowed=("s3:PutObject",), asked=("GET", OBJECT)),
    "may not delete": Refusal(
        "AccessDenied", "no_delete", allowed=("s3:PutObject", "s3:GetObject"), asked=("DELETE", OBJECT)
    ),
}


class RefusalTests(SynchronousTestCase):
    """The worker tries a place, as the hub lets it do before a place is added, and with *Test*."""

    def setUp(self) -> None:
        self.bucket: Bucket = bucket(self)

    def tried(self, **changes: Any) -> dict[str, Any]:
        reports, _ = work({"do": "probe", "at": self.bucket.told(patience=1, **changes), "home": "/"})
        self.assertNotIn(self.bucket.key[1], str(reports))
        return reports[-1]

    def test_by_the_server(self) -> None:
        self.bucket.guard()
        self.assertEqual(self.tried()["event"], "done", "with the right key, all is well")
        for name, case in BY_THE_SERVER.items():
            self.bucket.allow(*case.allowed)
            shown = self.bucket.ask(*case.asked, **case.told)
            self.assertEqual(code_of(shown), case.code, (name, shown))
            self.assertEqual(self.tried(**case.told).get("kind"), case.kind, name)
            self.bucket.allow(*ALL)
            left = [key for key in self.bucket.keys() if "parachute-test-" in key]
            self.assertEqual(len(left), case.kind == "no_delete" or name == "may not read", name)
            for key in left:
                self.bucket.ask("DELETE", key)
        self.bucket.withdraw()
        self.assertEqual(self.tried()["kind"], "wrong_key")

    def test_by_the_proxy_because_the_server_does_not_look(self) -> None:
        """The server takes each of these requests; the proxy refuses it for what it is."""
        self.bucket.guard()
        self.assertEqual(self.bucket.ask(late=DAY).status, 200, "a date of yesterday")
        self.assertEqual(self.bucket.ask(region="eu-west-1").status, 200, "another region")
        for ahead, late in ((0.0, DAY), (0.0, -DAY), (DAY, 0.0), (-DAY, 0.0)):
            self.bucket.ahead = ahead
            self.assertEqual(code_of(self.bucket.ask(direct=False, late=late)), "RequestTimeTooSkewed", (ahead, late))
        for ahead in (DAY, -DAY):
            self.bucket.ahead = ahead
            self.assertEqual(self.tried()["kind"], "clock", ahead)
        self.bucket.ahead = 600.0
        self.assertEqual(self.tried()["event"], "done", "ten minutes are allowed")
        self.bucket.ahead = 0.0
        self.assertEqual(code_of(self.bucket.ask(direct=False, region="eu-west-1")), "AuthorizationHeaderMalformed")
        self.assertEqual(self.tried(region="eu-west-1")["kind"], "region")
        self.bucket.inject(Fault(when=lambda asked: asked.method == "PUT", spoil=True))
        self.assertEqual(self.tried()["kind"], "changed")
        self.bucket.inject(None)
        self.assertEqual(self.tried()["event"], "done")
        self.assertEqual(self.bucket.keys(), [])
