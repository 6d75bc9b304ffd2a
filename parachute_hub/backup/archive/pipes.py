"""tar -> zstd -> age as a stream, and back. Each stage runs in a thread of its own, joined by pipes.

`age -d -i KEY FILE | tar --zstd -x` opens what `Encryption` writes.
"""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import BinaryIO, Self, cast

import pyrage

if sys.version_info >= (3, 14):
    from compression import zstd as zstd
else:
    from backports import zstd as zstd

_LEVEL = 3
_CHUNK = 256 * 1024
# Larger windows need more memory for reading, too.
_WINDOW_LOG = 22


class Encryption:
    """Compresses and encrypts for `recipient` (`age1...`).

    After a write error the stream ends in a way that readers detect as truncated.
    """

    def __init__(self, recipient: str) -> None:
        self._recipient = pyrage.x25519.Recipient.from_str(recipient)

    def run(self, write: Callable[[BinaryIO], None]) -> Iterator[bytes]:
        """The chunks of the encrypted stream, while `write` fills it in another thread. Raises what `write` raised.

        If the consumer stops early, both threads end.
        """
        compressed_out, compressed_in = os.pipe()
        encrypted_out, encrypted_in = os.pipe()
        stages = _Stages()
        stages.start(lambda: self._compress(write, compressed_in, stages))
        stages.start(lambda: self._encrypt(compressed_out, encrypted_in, stages))
        try:
            with os.fdopen(encrypted_out, "rb", buffering=0) as source:
                while chunk := source.read(_CHUNK):
                    yield chunk
        finally:
            stages.join()
        stages.check()

    def _compress(self, write: Callable[[BinaryIO], None], target: int, stages: "_Stages") -> None:
        parameter = zstd.CompressionParameter
        options: dict[int, int] = {parameter.compression_level: _LEVEL, parameter.window_log: _WINDOW_LOG}
        with os.fdopen(target, "wb") as pipe, stages.noting():
            with zstd.ZstdFile(pipe, "w", options=options) as writer:
                write(cast(BinaryIO, writer))

    def _encrypt(self, source: int, target: int, stages: "_Stages") -> None:
        with os.fdopen(source, "rb") as plain, os.fdopen(target, "wb") as encrypted, stages.noting():
            pyrage.encrypt_io(_Until(plain, stages), encrypted, [self._recipient])


def new_key() -> tuple[str, str]:
    """An age key pair: the identity (`AGE-SECRET-KEY-1...`) and the recipient (`age1...`)."""
    identity = pyrage.x25519.Identity.generate()
    return str(identity), str(identity.to_public())


class Decryption:
    """A context whose `reader` is the tar stream inside `chunks`, an encrypted archive.

    Raises BadKey or DamagedStream on leaving or reading, whichever detects it first.
    """

    def __init__(self, chunks: Iterator[bytes], identity: str) -> None:
        self._chunks = chunks
        try:
            self._identity = pyrage.x25519.Identity.from_str(identity.strip())
        except pyrage.IdentityError as error:
            raise BadKey("This is not a recovery key. It begins with AGE-SECRET-KEY-1.") from error
        self._stages = _Stages()

    def __enter__(self) -> Self:
        encrypted_out, encrypted_in = os.pipe()
        plain_out, plain_in = os.pipe()
        self._stages.start(lambda: self._feed(encrypted_in))
        self._stages.start(lambda: self._decrypt(encrypted_out, plain_in))
        self._plain = os.fdopen(plain_out, "rb")
        options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: _WINDOW_LOG}
        self.reader: BinaryIO = cast(BinaryIO, zstd.ZstdFile(self._plain, options=options))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            # tar stops at its end mark; only the last bytes prove that the stream is complete.
            while self._plain.read(_CHUNK):
                pass
        # A failed stage closes its pipe, so the caller's error is only a consequence.
        cause = self._stages.first
        self._plain.close()
        self._stages.join()
        if cause is not None:
            raise cause from error

    def _feed(self, target: int) -> None:
        with os.fdopen(target, "wb") as pipe, self._stages.noting():
            for chunk in self._chunks:
                pipe.write(chunk)

    def _decrypt(self, source: int, target: int) -> None:
        with os.fdopen(source, "rb") as encrypted, os.fdopen(target, "wb") as plain, self._stages.noting():
            try:
                pyrage.decrypt_io(encrypted, plain, [self._identity])
            except (pyrage.DecryptError, OSError) as error:
                # The library reports a damaged stream as an OSError; pipes raise no other one.
                if isinstance(error, BrokenPipeError):
                    raise
                raise explain_decryption(str(error)) from error


class BadKey(Exception):
    """The key does not open this archive."""


class DamagedStream(Exception):
    """The encrypted stream was modified or truncated."""


def explain_decryption(text: str) -> Exception:
    """Convert an error of age."""
    if "No matching keys" in text:
        return BadKey("This recovery key does not open this backup. Use the sheet that was printed when it was made.")
    return DamagedStream(f"The backup is damaged or incomplete ({text}). Choose another one.")


class _Until:
    """A reader that raises instead of ending when an earlier stage failed, so that a truncated stream does not look
    complete.
    """

    def __init__(self, source: BinaryIO, stages: "_Stages") -> None:
        self._source = source
        self._stages = stages

    def read(self, size: int = -1) -> bytes:
        found = self._source.read(size)
        if not found and self._stages.first is not None:
            raise OSError("an earlier stage failed")
        return found


class _Stages:
    """The threads of a pipeline and their first error."""

    def __init__(self) -> None:
        self.first: BaseException | None = None
        self._threads: list[threading.Thread] = []

    def start(self, stage: Callable[[], None]) -> None:
        thread = threading.Thread(target=self._run, args=(stage,), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _run(self, stage: Callable[[], None]) -> None:
        with suppress(BaseException):
            stage()

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Record a stage's error before its pipes are closed, since a closed pipe is never the cause."""
        try:
            yield
        except BaseException as error:
            if self.first is None and not isinstance(error, BrokenPipeError):
                self.first = error
            raise

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def check(self) -> None:
        if self.first is not None:
            raise self.first
