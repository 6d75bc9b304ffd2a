"""The process that verifies one answer of an authenticator: a job on stdin, its outcome on stdout."""

import json
import signal
import sys
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

LONGEST_SECONDS = 20


def main() -> None:
    """One job. Whatever goes wrong means that the answer is not good, and whatever hangs ends by itself."""
    signal.alarm(LONGEST_SECONDS)
    print(json.dumps(verify(json.loads(sys.stdin.buffer.read()))))


def verify(job: dict[str, Any]) -> dict[str, Any]:
    """`good`, and of a new credential its `id` and `public_key`; else `why` not.

    A new one always needs user verification; attestation is not asked for, so none is trusted.
    """
    from webauthn import verify_authentication_response, verify_registration_response
    from webauthn.helpers import exceptions

    expected = {
        "credential": job["credential"],
        "expected_challenge": _octets(job["challenge"]),
        "expected_rp_id": job["rp_id"],
        "expected_origin": job["origin"],
    }
    try:
        if job["kind"] == "webauthn.create":
            added = verify_registration_response(**expected, require_user_verification=True)
            return {
                "good": True,
                "id": _text(added.credential_id),
                "public_key": _text(added.credential_public_key),
                "sign_count": added.sign_count,
                "synced": added.credential_device_type == "multi_device",
            }
        # The counter is compared where it is stored, in a transaction.
        used = verify_authentication_response(
            **expected,
            credential_public_key=_octets(job["public_key"]),
            credential_current_sign_count=0,
            require_user_verification=job["verified"],
        )
        return {"good": True, "sign_count": used.new_sign_count}
    except exceptions.WebAuthnException as error:
        return {"good": False, "why": f"{type(error).__name__}: {error}"[:300]}
    except Exception as error:  # The library raises many kinds for bytes that make no sense.
        return {"good": False, "why": type(error).__name__}


def _octets(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _text(octets: bytes) -> str:
    return urlsafe_b64encode(octets).decode().rstrip("=")


if __name__ == "__main__":
    main()
