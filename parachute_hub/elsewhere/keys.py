"""The hub's key and certificate for each link, on disk."""

import shutil
from pathlib import Path
from typing import Final

from attrs import field

from parachute_hub.link.certificates import key_of_pem, make
from parachute_hub.system.atomic_files import atomic_write, private_folder, read_bounded, sync_folder
from parachute_hub.system.records import frozen

_LIMIT: Final = 64 * 1024
_MARK: Final = b"-----BEGIN CERTIFICATE-----"


@frozen(kw_only=True)
class Identity:
    """A key and its certificate, both PEM."""

    key: bytes = field(repr=False)
    certificate: bytes

    @property
    def pin(self) -> str:
        """The SHA-256 of its SubjectPublicKeyInfo in hexadecimal."""
        return key_of_pem(self.certificate).hex()

    @classmethod
    def new(cls) -> "Identity":
        key, certificate = make("parachute hub")
        return cls(key=key, certificate=certificate)


@frozen
class KeyFolder:
    """The keys of all links: `<folder>/<id>/link.pem`, and `next.pem` while a new one is introduced to the other side.

    All methods block.
    """

    folder: Path

    def read(self, link_id: str, *, coming: bool = False) -> Identity | None:
        """The link's identity; None if there is none. Raises OSError."""
        try:
            content = read_bounded(self._file(link_id, coming), _LIMIT)
        except FileNotFoundError:
            return None
        key, mark, certificate = content.partition(_MARK)
        return Identity(key=key, certificate=mark + certificate)

    def write(self, link_id: str, identity: Identity, *, coming: bool = False) -> None:
        """Store an identity durably. Raises OSError."""
        private_folder(self.folder)
        private_folder(self.folder / link_id)
        atomic_write(self._file(link_id, coming), identity.key + identity.certificate, 0o600)

    def promote(self, link_id: str) -> None:
        """The coming identity takes the place of the former. Raises OSError."""
        self._file(link_id, True).replace(self._file(link_id, False))
        sync_folder(self.folder / link_id)

    def forget(self, link_id: str) -> None:
        """Delete the link's keys."""
        shutil.rmtree(self.folder / link_id, ignore_errors=True)

    def _file(self, link_id: str, coming: bool) -> Path:
        return self.folder / link_id / ("next.pem" if coming else "link.pem")
