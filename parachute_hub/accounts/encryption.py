"""Encrypts secrets that must be readable, such as TOTP secrets, before they are stored in the database.

The key is in a separate file, so a copy of the database alone reveals nothing. If the key is lost, so are the secrets;
recovery codes are only hashed and still work.
"""

import hashlib
import hmac
from collections.abc import Callable
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from parachute_hub.system.atomic_files import atomic_write
from parachute_hub.system.random_tokens import base64url

KEY_FILE = "accounts.key"
_NONCE = 12
_KEY = 32


class Unsealable(Exception):
    """Encrypted with a different key, or damaged."""


class Sealer:
    """AES-256-GCM. `about` binds a ciphertext to its row, so it cannot be decrypted in another one."""

    def __init__(self, key: bytes, random: Callable[[int], bytes]) -> None:
        self._key = key
        self._cipher = AESGCM(key)
        self._random = random

    @classmethod
    def from_file(cls, path: Path, random: Callable[[int], bytes]) -> "Sealer":
        """Load the key from `path` (hex, 0600), creating it if missing. Raises ValueError if it is damaged."""
        try:
            key = bytes.fromhex(path.read_text().strip())
        except FileNotFoundError:
            key = random(_KEY)
            atomic_write(path, f"{key.hex()}\n".encode())
        except ValueError:
            key = b""
        if len(key) != _KEY:
            raise ValueError(f"{path} does not hold a key of {_KEY} bytes. Put the right file back, or move it away.")
        return cls(key, random)

    def tag(self, about: str) -> str:
        """A short public name that differs between hubs (eight hexadecimal digits)."""
        return hmac.digest(self._key, f"tag {about}".encode(), hashlib.sha256)[:4].hex()

    def secret(self, about: str) -> str:
        """A secret text for a purpose, the same each time (43 characters)."""
        return base64url(hmac.digest(self._key, f"secret {about}".encode(), hashlib.sha256))

    def seal(self, secret: str, about: str) -> bytes:
        """Encrypt."""
        nonce = self._random(_NONCE)
        return nonce + self._cipher.encrypt(nonce, secret.encode(), about.encode())

    def open(self, sealed: bytes, about: str) -> str:
        """Decrypt. Raises Unsealable."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], about.encode()).decode()
        except (InvalidTag, ValueError) as error:
            raise Unsealable(about) from error
