"""Requests to a bucket are signed as Amazon's documentation shows; `tests/live/test_backup_s3.py` makes them."""

import time

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.backup.archive.leftovers import sign


class SignatureTests(SynchronousTestCase):
    def test_the_documented_example(self) -> None:
        """Amazon S3 API Reference, "Signature Calculations for the Authorization Header", "GET Bucket Lifecycle"."""
        told = {
            "key_id": "AKIAIOSFODNN7EXAMPLE",
            "secret": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "region": "us-east-1",
        }
        now = time.strptime("20130524T000000Z", "%Y%m%dT%H%M%SZ")
        headers = sign(told, "GET", "examplebucket.s3.amazonaws.com", "/", "lifecycle=", now)
        expected = "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"
        self.assertTrue(headers["Authorization"].endswith(f"Signature={expected}"), headers)
