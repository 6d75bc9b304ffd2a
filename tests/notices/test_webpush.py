"""The encryption against the example of RFC 8291, section 5, and against a receiver of its own."""

from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.notices import webpush
from parachute_hub.notices.webpush import BadSubscription, Subscription
from tests.support.push_service import Browser, decoded, encoded, point, verified

PLAIN = b"When I grow up, I want to be a watermelon"
SENDER = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
RECEIVER = "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"
SALT = "DGv6ra1nlYgDCS1FRnbzlw"
AUTH = "BTBZMqHH6r4Tts7J_aSIgg"
BODY = (
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_y"
    "l95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
)


def key_of(text: str) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(decoded(text), "big"), ec.SECP256R1())


class EncryptTests(SynchronousTestCase):
    def test_the_example_of_the_rfc(self) -> None:
        receiver = key_of(RECEIVER)
        subscription = Subscription(endpoint="https://push.test/x", key=point(receiver), auth=decoded(AUTH))
        body = webpush.encrypt(PLAIN, subscription, salt=decoded(SALT), sender=key_of(SENDER))
        self.assertEqual(encoded(body), BODY)
        self.assertEqual(Browser(receiver, decoded(AUTH)).decrypted(decoded(BODY)), PLAIN)

    @settings(max_examples=20, derandomize=True, deadline=None)
    @given(st.binary(max_size=3000), st.binary(min_size=16, max_size=16))
    def test_any_message_arrives(self, message: bytes, salt: bytes) -> None:
        browser = Browser()
        subscription = Subscription.read(browser.subscription("https://push.test/x"))
        body = webpush.encrypt(message + b"!", subscription, salt=salt, sender=webpush.new_key())
        self.assertEqual(browser.decrypted(body), message + b"!")


class RequestTests(SynchronousTestCase):
    def test_the_request_is_signed_for_this_push_service(self) -> None:
        """And a key that was stored signs as before."""
        key = webpush.restored(webpush.stored(webpush.new_key()))
        sent = webpush.headers(
            "https://push.test:8443/send/abc?x=1", key=key, subject="https://hub.test", now=1000.0, urgent=True
        )
        claims = verified(sent["Authorization"], webpush.public_bytes(key))
        self.assertEqual(claims, {"aud": "https://push.test:8443", "exp": 1000 + 12 * 3600, "sub": "https://hub.test"})
        self.assertEqual((sent["TTL"], sent["Urgency"], sent["Content-Encoding"]), ("86400", "high", "aes128gcm"))

    def test_what_is_no_subscription_is_refused(self) -> None:
        good = Browser().subscription("https://push.test/x")
        for told in (
            None,
            {},
            {"endpoint": "https://push.test/x"},
            {**good, "keys": {}},
            {**good, "keys": {**good["keys"], "auth": "AAAA"}},
            {**good, "keys": {**good["keys"], "p256dh": encoded(b"\x04" + b"\x01" * 64)}},
            {**good, "keys": {**good["keys"], "p256dh": 7}},
            {**good, "endpoint": 7},
        ):
            with self.assertRaises(BadSubscription):
                Subscription.read(told)
