"""A software authenticator: makes passkeys and signs with them as a browser's does (W3C Web Authentication, Level 3).

`tests.browser.test_passkeys` compares its answers with Chromium's.
"""

import hashlib
import json
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import cbor2
from attrs import define, field
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

_USER_PRESENT, _USER_VERIFIED, _ATTESTED = 0x01, 0x04, 0x40
_BACKUP_ELIGIBLE, _BACKED_UP = 0x08, 0x10


def b64(octets: bytes) -> str:
    return urlsafe_b64encode(octets).decode().rstrip("=")


def octets(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


@define
class Credential:
    """One passkey on the device."""

    id: str
    rp_id: str
    handle: str
    key: ec.EllipticCurvePrivateKey = field(repr=False)
    count: int = 0


@define
class Authenticator:
    """A device, with its browser at `origin`. `counts` is false for one that always says 0, as synced passkeys do.

    `next_id` is that of the next credential, if it is not to be a random one.
    """

    origin: str
    counts: bool = True
    verifies: bool = True
    synced: bool = False
    next_id: str | None = None
    credentials: list[Credential] = field(factory=list)

    def create(self, options: Any, **client: Any) -> str:
        """The answer to `navigator.credentials.create`, as `toJSON` gives it. `client` overrides client data."""
        made = Credential(
            id=self.next_id or b64(os.urandom(16)),
            rp_id=options["rp"]["id"],
            handle=options["user"]["id"],
            key=ec.generate_private_key(ec.SECP256R1()),
        )
        assert not {one["id"] for one in options["excludeCredentials"]} & {one.id for one in self.credentials}
        self.credentials.append(made)
        numbers = made.key.public_key().public_numbers()
        cose = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32), -3: numbers.y.to_bytes(32)}
        raw = octets(made.id)
        attested = bytes(16) + len(raw).to_bytes(2) + raw + cbor2.dumps(cose)
        told = {"fmt": "none", "attStmt": {}, "authData": self._data(made, _ATTESTED) + attested}
        response = {
            "clientDataJSON": b64(self._client("webauthn.create", options["challenge"], client)),
            "attestationObject": b64(cbor2.dumps(told)),
            "transports": ["internal"],
        }
        return self._answer(made, response)

    def get(self, options: Any, credential: Credential | None = None, **client: Any) -> str:
        """The answer to `navigator.credentials.get`: signed with one that is allowed, or with `credential`."""
        allowed = {one["id"] for one in options["allowCredentials"]}
        fitting = [
            one for one in self.credentials if one.rp_id == options["rpId"] and (not allowed or one.id in allowed)
        ]
        used = credential or fitting[0]
        if self.counts:
            used.count += 1
        data = self._data(used, 0)
        told = self._client("webauthn.get", options["challenge"], client)
        signature = used.key.sign(data + hashlib.sha256(told).digest(), ec.ECDSA(SHA256()))
        response = {
            "clientDataJSON": b64(told),
            "authenticatorData": b64(data),
            "signature": b64(signature),
            "userHandle": used.handle,
        }
        return self._answer(used, response)

    def _data(self, credential: Credential, flags: int) -> bytes:
        flags |= _USER_PRESENT | (_USER_VERIFIED if self.verifies else 0)
        flags |= _BACKUP_ELIGIBLE | _BACKED_UP if self.synced else 0
        count = credential.count if self.counts else 0
        return hashlib.sha256(credential.rp_id.encode()).digest() + bytes([flags]) + count.to_bytes(4)

    def _client(self, kind: str, challenge: str, more: dict[str, Any]) -> bytes:
        told = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False, **more}
        return json.dumps(told).encode()

    def _answer(self, credential: Credential, response: dict[str, Any]) -> str:
        told = {
            "id": credential.id,
            "rawId": credential.id,
            "type": "public-key",
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
            "response": response,
        }
        return json.dumps(told)
