"""Chunked body framing (RFC 9112, sections 6 and 7)."""

import re

from parachute_hub.proxy.head import BadMessage

# No legitimate client sends a longer chunk-size or trailer line.
MAX_LINE = 4096
MAX_TRAILERS = 64
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[\t -~\x80-\xff]*)?\Z").match
_TRAILER = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t -~\x80-\xff]*\Z").match

_SIZE_LINE, _DATA, _DATA_END, _TRAILERS = range(4)


class Chunked:
    """Incremental parser of a chunked body.

    If `payload` is a list, the decoded data is appended to it.
    """

    __slots__ = ("payload", "_left", "_line", "_state", "_trailers")

    def __init__(self, payload: list[bytes] | None = None) -> None:
        self.payload = payload
        self._state = _SIZE_LINE
        self._left = 0
        self._line = b""
        self._trailers = 0

    @property
    def left(self) -> int:
        """Bytes to come of the chunk that has begun; 0 between two."""
        return self._left

    def skip(self, count: int) -> None:
        """So many bytes, fewer than are `left`, were passed on without being parsed."""
        self._left -= count

    def feed(self, data: bytes) -> int:
        """Parse the next piece. Returns the index just after the body's end, or -1 if it continues.

        Raises BadMessage for anything but strict framing: CR LF line ends, plain hexadecimal sizes.
        """
        at, size = 0, len(data)
        while at < size:
            if self._state == _DATA:
                taken = min(self._left, size - at)
                if self.payload is not None:
                    self.payload.append(data[at : at + taken])
                self._left -= taken
                at += taken
                if not self._left:
                    self._state = _DATA_END
                continue
            end = data.find(b"\n", at)
            if end < 0:
                self._keep(data[at:])
                return -1
            line = self._line + data[at:end]
            self._line = b""
            at = end + 1
            if self._ended(line):
                return at
        return -1

    def _keep(self, part: bytes) -> None:
        self._line += part
        longest = 1 if self._state == _DATA_END else MAX_LINE
        if len(self._line) > longest:
            raise BadMessage(400, "A line of the chunked framing is too long.")

    def _ended(self, line: bytes) -> bool:
        """Parse one framing line without its LF; true if it was the last."""
        if line[-1:] != b"\r" or len(line) > MAX_LINE:
            raise BadMessage(400, "A line of the chunked framing does not end in CR LF.")
        line = line[:-1]
        if self._state == _SIZE_LINE:
            size = _SIZE(line)
            if size is None:
                raise BadMessage(400, "A chunk's size is not a plain hexadecimal number.")
            self._left = int(size[1], 16)
            self._state = _DATA if self._left else _TRAILERS
            return False
        if self._state == _DATA_END:
            if line:
                raise BadMessage(400, "A chunk is longer than its size says.")
            self._state = _SIZE_LINE
            return False
        if not line:
            return True
        self._trailers += 1
        if not _TRAILER(line) or self._trailers > MAX_TRAILERS:
            raise BadMessage(400, "The trailer after the last chunk is not a list of headers.")
        return False


def chunk(data: bytes) -> bytes:
    """Frame `data` as one chunk. It must not be empty, which would end the body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"


def unchunk(chunks: Chunked, data: bytes) -> tuple[bytes, bytes, bool]:
    """(body data, bytes after the body, whether the body is complete). `chunks` collects its payload."""
    end = chunks.feed(data)
    payload = chunks.payload or []
    joined = b"".join(payload)
    payload.clear()
    return joined, data[end:] if end >= 0 else b"", end >= 0


class RequestBody:
    """Finds the end of a request body that has `length` bytes, or is chunked (None)."""

    def __init__(self, length: int | None) -> None:
        self._left = length or 0
        self._chunks = Chunked([]) if length is None else None

    def take(self, data: bytes) -> tuple[bytes, bytes, bool]:
        """(decoded data, bytes behind the body, whether the body is complete). Raises BadMessage."""
        if self._chunks is not None:
            return unchunk(self._chunks, data)
        rest = data[self._left :]
        data = data[: self._left] if rest else data
        self._left -= len(data)
        return data, rest, not self._left

    @property
    def left(self) -> int:
        """Bytes to come; 0 if that is not known, as in chunks."""
        return self._left

    def skip(self, count: int) -> None:
        """So many bytes, fewer than are `left`, were passed on without being taken."""
        self._left -= count
