"""A small npm registry on loopback: it serves the packages that a test gives it, well or badly.

It speaks what `bun add` and `bun info` ask: `GET /<package>` (the packument) and `GET /-/<file>.tgz`.
"""

import base64
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias
from urllib.parse import unquote

from attrs import Factory, define, field, frozen
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

LONG_AGO = "2026-01-01T00:00:00.000Z"
Fault: TypeAlias = Literal["none", "refused", "404", "500", "stall", "integrity", "truncated", "slow"]


def pack(files: Mapping[str, bytes | str], modes: Mapping[str, int] | None = None) -> bytes:
    """An npm tarball of these files (path in the package -> content)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", compresslevel=1) as archive:
        for name, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(data)
            entry.mode = (modes or {}).get(name, 0o644)
            archive.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file below `folder`, as `pack` wants them."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


class Signer:
    """A registry's signing key. `forged` makes every signature one of something else."""

    def __init__(self, *, forged: bool = False, expires: str | None = None) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._forged = forged
        self._expires = expires
        self._public = self._key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self._id = "SHA256:" + base64.b64encode(hashlib.sha256(self._public).digest()).decode()

    def keys(self) -> list[dict[str, Any]]:
        """What `/-/npm/v1/keys` holds."""
        kind = {"keytype": "ecdsa-sha2-nistp256", "scheme": "ecdsa-sha2-nistp256"}
        return [{"expires": self._expires, "keyid": self._id, **kind, "key": base64.b64encode(self._public).decode()}]

    def sign(self, text: str) -> dict[str, str]:
        """One entry of `dist.signatures`."""
        content = (text + ("x" if self._forged else "")).encode()
        return {
            "keyid": self._id,
            "sig": base64.b64encode(self._key.sign(content, ec.ECDSA(hashes.SHA256()))).decode(),
        }


@frozen
class Release:
    """One published version."""

    manifest: Mapping[str, Any]
    tarball: bytes
    unpacked: int | None
    published: str
    integrity: bool


@define
class NpmRegistry:
    """The registry. `fault` says how it fails from now on; `asked` lists the paths that were requested.

    `distance` is how many seconds an answer is on its way. With a `signer` it publishes keys and signs what it offers.
    """

    reactor: Any
    fault: Fault = "none"
    distance: float = 0.0
    signer: "Signer | None" = None
    asked: list[str] = Factory(list)
    _packages: dict[str, dict[str, Release]] = field(factory=dict, init=False)
    _tags: dict[str, dict[str, str]] = field(factory=dict, init=False)
    _port: Any = field(default=None, init=False)
    _waiting: list[IDelayedCall] = field(factory=list, init=False)
    _gone: set[Request] = field(factory=set, init=False)

    def publish(
        self,
        files: Mapping[str, bytes | str],
        tag: str = "latest",
        *,
        version: str | None = None,
        published: str = LONG_AGO,
        sized: bool = True,
        integrity: bool = True,
        **options: Any,
    ) -> Release:
        """Offer a package; its files hold a `package.json` with name and version.

        `version` is what the registry says of it, whatever the package says itself.
        """
        manifest = json.loads(files["package.json"])
        manifest["version"] = version or manifest["version"]
        size = sum(len(content) for content in files.values()) if sized else None
        release = Release(manifest, pack(files, **options), size, published, integrity)
        name, version = manifest["name"], manifest["version"]
        self._packages.setdefault(name, {})[version] = release
        self._tags.setdefault(name, {})[tag] = version
        return release

    def listen(self) -> str:
        """Listen on a free loopback port; the answer is the registry's address."""
        self._port = self.reactor.listenTCP(0, Site(_Answers(self)), interface="127.0.0.1")
        return self.url

    async def close(self) -> None:
        """Stop listening and drop what still waits."""
        for call in self._waiting:
            if call.active():
                call.cancel()
        if self._port is not None:
            port, self._port = self._port, None
            await _deferred(port.stopListening())

    @property
    def url(self) -> str:
        """`http://127.0.0.1:<port>/`."""
        assert self._port is not None
        return f"http://127.0.0.1:{self._port.getHost().port}/"

    def from_afar(self, request: Request) -> bytes | int:
        """One request, answered when the distance has passed."""
        request.notifyFinish().addErrback(lambda _: self._gone.add(request))
        if not self.distance:
            return self.answer(request)
        self._waiting.append(self.reactor.callLater(self.distance, self._arrive, request))
        return NOT_DONE_YET

    def _arrive(self, request: Request) -> None:
        if request in self._gone:
            return
        told = self.answer(request)
        if isinstance(told, bytes):
            request.write(told)
            request.finish()

    def answer(self, request: Request) -> bytes | int:
        """One request."""
        path = unquote(request.path.decode()).lstrip("/")
        self.asked.append(path)
        if self.fault in ("404", "500"):
            request.setResponseCode(int(self.fault))
            return b"{}"
        if self.fault == "refused":
            connection: Any = request.transport
            connection.abortConnection()
            return NOT_DONE_YET
        if path == "-/npm/v1/keys":
            if self.signer is None:
                request.setResponseCode(404)
                return b"{}"
            return json.dumps({"keys": self.signer.keys()}).encode()
        if path.startswith("-/"):
            return self._tarball(request, path)
        releases = self._packages.get(path)
        if releases is None:
            request.setResponseCode(404)
            return b'{"error":"Not found"}'
        request.setHeader("Content-Type", "application/json")
        return json.dumps(self._packument(path, releases)).encode()

    def _packument(self, name: str, releases: Mapping[str, Release]) -> dict[str, Any]:
        return {
            "name": name,
            "dist-tags": self._tags[name],
            "time": {version: release.published for version, release in releases.items()},
            "versions": {
                version: {**release.manifest, "dist": self._dist(name, version, release)}
                for version, release in releases.items()
            },
        }

    def _dist(self, name: str, version: str, release: Release) -> dict[str, Any]:
        integrity = self._integrity(release)
        signed = f"{name}@{version}:{integrity}"
        dist = {
            "tarball": f"{self.url}-/{name.replace('/', '+')}/{version}.tgz",
            "integrity": integrity if release.integrity else None,
            "unpackedSize": release.unpacked,
            "fileCount": 1,
            "signatures": [self.signer.sign(signed)] if self.signer else None,
        }
        return {name: value for name, value in dist.items() if value is not None}

    def _integrity(self, release: Release) -> str:
        content = b"other bytes" if self.fault == "integrity" else release.tarball
        return "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()

    def _tarball(self, request: Request, path: str) -> bytes | int:
        name, _, file = path[2:].rpartition("/")
        data = self._packages[name.replace("+", "/")][file.removesuffix(".tgz")].tarball
        part = data[: max(1, len(data) * 3 // 10)]
        match self.fault:
            case "stall":
                request.setHeader("Content-Length", str(len(data)))
                request.write(part)
                return NOT_DONE_YET
            case "truncated":
                return part
            case "slow":
                request.setHeader("Content-Length", str(len(data)))
                self._trickle(request, data, max(1, len(data) // 10))
                return NOT_DONE_YET
            case _:
                return data

    def _trickle(self, request: Request, rest: bytes, step: int) -> None:
        if request in self._gone:
            return
        request.write(rest[:step])
        if len(rest) <= step:
            request.finish()
            return
        clock: IReactorTime = self.reactor
        self._waiting.append(clock.callLater(0.1, self._trickle, request, rest[step:], step))


class _Answers(Resource):
    """Hands every request to the registry."""

    isLeaf = True

    def __init__(self, registry: NpmRegistry) -> None:
        super().__init__()
        self._registry = registry

    def render(self, request: Request) -> bytes | int:
        return self._registry.from_afar(request)


async def _deferred(value: Any) -> None:
    if value is not None:
        await value
