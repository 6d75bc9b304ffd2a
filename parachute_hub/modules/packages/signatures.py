"""Verifies registry signatures: ECDSA over `name@version:integrity`, with keys that the registry publishes."""

import base64
import binascii
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from parachute_hub.system.records import frozen

_KIND = "ecdsa-sha2-nistp256"


class BadSignature(Exception):
    """The registry's signature is missing or wrong. The text says which."""


@frozen
class RegistryKey:
    """One signing key. `expires` is when it stopped signing, None while in use."""

    id: str
    public: ec.EllipticCurvePublicKey
    expires: datetime | None


def keys_of(document: Any) -> tuple[RegistryKey, ...]:
    """The usable keys of `/-/npm/v1/keys`, an unvalidated document."""
    entries = document.get("keys") if isinstance(document, dict) else None
    found = (_key(entry) for entry in entries) if isinstance(entries, list) else ()
    return tuple(key for key in found if key is not None)


def verify(text: str, signatures: Any, keys: Sequence[RegistryKey], published: datetime | None) -> None:
    """Verify that one of the registry's keys signed `text`. Raises BadSignature.

    An expired key is valid for packages published before. `published` None counts as now.
    """
    by_id = {key.id: key for key in keys}
    entries = [entry for entry in signatures if isinstance(entry, dict)] if isinstance(signatures, list) else []
    if not entries:
        raise BadSignature("has no signature of the registry, although the registry publishes keys")
    for entry in entries:
        key = by_id.get(str(entry.get("keyid")))
        if key is None or (key.expires is not None and (published is None or published >= key.expires)):
            continue
        try:
            key.public.verify(base64.b64decode(str(entry.get("sig"))), text.encode(), ec.ECDSA(hashes.SHA256()))
        except (InvalidSignature, binascii.Error, ValueError):
            raise BadSignature("has an invalid signature") from None
        return
    raise BadSignature("is not signed with a key that the registry publishes")


def moment(value: Any) -> datetime | None:
    """Parse an ISO 8601 time; None if malformed."""
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _key(entry: Any) -> RegistryKey | None:
    if not isinstance(entry, dict) or entry.get("scheme") != _KIND:
        return None
    try:
        public = load_der_public_key(base64.b64decode(str(entry.get("key"))))
    except (UnsupportedAlgorithm, binascii.Error, ValueError):
        return None
    if not isinstance(public, ec.EllipticCurvePublicKey):
        return None
    expires = entry.get("expires")
    return RegistryKey(str(entry.get("keyid")), public, None if expires is None else moment(expires))
