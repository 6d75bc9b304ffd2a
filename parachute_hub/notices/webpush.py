"""Web push: encrypts a message for one browser (RFC 8291, RFC 8188) and signs the request (VAPID, RFC 8292)."""

import base64
from typing import Any, Final
from urllib.parse import urlsplit

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from parachute_hub.system.records import frozen

RECORD_SIZE: Final = 4096
TIME_TO_LIVE: Final = 86400
_TOKEN_LIFETIME: Final = 12 * 3600.0
_POINT: Final = 65
_AUTH: Final = 16


class BadSubscription(Exception):
    """The browser's subscription cannot be used."""


@frozen(kw_only=True)
class Subscription:
    """Where a browser takes messages: the push service's address, its public key (65 bytes) and secret (16 bytes)."""

    endpoint: str
    key: bytes
    auth: bytes

    @classmethod
    def read(cls, told: Any) -> "Subscription":
        """From `PushSubscription.toJSON()`. Raises BadSubscription."""
        try:
            endpoint, keys = told["endpoint"], told["keys"]
            key, auth = _decoded(keys["p256dh"]), _decoded(keys["auth"])
            ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), key)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise BadSubscription("This is not a push subscription.") from None
        if len(key) != _POINT or len(auth) != _AUTH or not isinstance(endpoint, str):
            raise BadSubscription("This is not a push subscription.")
        return cls(endpoint=endpoint, key=key, auth=auth)


def encrypt(message: bytes, subscription: Subscription, *, salt: bytes, sender: ec.EllipticCurvePrivateKey) -> bytes:
    """The body of a push request, one record of `aes128gcm`. `salt` (16 bytes) and `sender` are new each time."""
    receiver = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), subscription.key)
    ours = public_bytes(sender)
    shared = sender.exchange(ec.ECDH(), receiver)
    # RFC 8291, section 3.4, then RFC 8188, section 2.
    secret = _derived(shared, subscription.auth, b"WebPush: info\0" + subscription.key + ours, 32)
    key = _derived(secret, salt, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _derived(secret, salt, b"Content-Encoding: nonce\0", 12)
    header = salt + RECORD_SIZE.to_bytes(4, "big") + bytes((len(ours),)) + ours
    return header + AESGCM(key).encrypt(nonce, message + b"\x02", None)


def headers(
    endpoint: str, *, key: ec.EllipticCurvePrivateKey, subject: str, now: float, urgent: bool
) -> dict[str, str]:
    """The headers of a push request, signed for this push service. `subject` is a contact: an https or mailto URL."""
    from joserfc import jwt
    from joserfc.jwk import ECKey

    parts = urlsplit(endpoint)
    claims = {"aud": f"{parts.scheme}://{parts.netloc}", "exp": int(now + _TOKEN_LIFETIME), "sub": subject}
    token = jwt.encode({"typ": "JWT", "alg": "ES256"}, claims, ECKey.import_key(_pem(key)))
    return {
        "Authorization": f"vapid t={token}, k={encoded(public_bytes(key))}",
        "Content-Encoding": "aes128gcm",
        "Content-Type": "application/octet-stream",
        "TTL": str(TIME_TO_LIVE),
        "Urgency": "high" if urgent else "normal",
    }


def new_key() -> ec.EllipticCurvePrivateKey:
    """A key pair: for one message, or for this hub."""
    return ec.generate_private_key(ec.SECP256R1())


def stored(key: ec.EllipticCurvePrivateKey) -> str:
    """A key pair as text, to be sealed."""
    return f"{key.private_numbers().private_value:064x}"


def restored(text: str) -> ec.EllipticCurvePrivateKey:
    """The key pair. Raises ValueError."""
    return ec.derive_private_key(int(text, 16), ec.SECP256R1())


def public_bytes(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The uncompressed point (65 bytes)."""
    form = serialization.PublicFormat.UncompressedPoint
    return key.public_key().public_bytes(serialization.Encoding.X962, form)


def encoded(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4))


def _derived(secret: bytes, salt: bytes, info: bytes, size: int) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=size, salt=salt, info=info).derive(secret)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
