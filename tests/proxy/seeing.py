"""What a parser makes of a connection's bytes: the requests it sees, in order."""

from typing import NamedTuple

import h11

from parachute_hub.proxy.routes import Mount, Table
from tests.proxy.corpus import HOST
from tests.support.sockets import Rig, ok

MOUNTS = (
    Mount("notes", b"/notes", 2001),
    Mount("vault", b"/vault/default", 2002),
    Mount("vault", b"/vault/work", 2002),
)


TABLE = Table.build(MOUNTS, (HOST,), f"https://{HOST}")


class Seen(NamedTuple):
    """A request as a parser understood it."""

    method: bytes
    target: bytes
    body: bytes


def by_us(raw: bytes) -> list[Seen]:
    """The requests that reach a module through our front."""
    rig = Rig(MOUNTS)
    client = rig.client()
    client.deliver(raw)
    seen: list[Seen] = []
    while waiting := [socket for socket in rig.modules.sockets if socket.connected and socket.written]:
        # A request whose body never ended is none.
        seen += by_h11(waiting[0].take())
        waiting[0].deliver(ok())
    return seen


def by_h11(raw: bytes) -> list[Seen]:
    """The requests that h11 sees, up to the first it refuses."""
    reader = h11.Connection(h11.SERVER)
    seen: list[Seen] = []
    body = b""
    reader.receive_data(raw)
    try:
        while True:
            event = reader.next_event()
            if isinstance(event, h11.Request):
                request, body = event, b""
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif not isinstance(event, h11.EndOfMessage):
                return seen
            else:
                seen.append(Seen(request.method, request.target, body))
                reader.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
                reader.send(h11.EndOfMessage())
                if reader.our_state is not h11.DONE or reader.their_state is not h11.DONE:
                    return seen
                reader.start_next_cycle()
    except h11.ProtocolError:
        return seen


def owner(target: bytes) -> str:
    """Whose path this is in our table, taken literally: a module's short name or nothing."""
    place = TABLE.place(target.partition(b"?")[0])
    return place.prefix.decode() if isinstance(place, Mount) else ""


def for_modules(seen: list[Seen]) -> list[Seen]:
    """Another parser's requests that we would send to a module, with absolute targets as paths."""
    plain = [Seen(one.method, _path(one.target), one.body) for one in seen]
    return [one for one in plain if owner(one.target)]


def _path(target: bytes) -> bytes:
    for scheme in (b"http://", b"https://"):
        if target.startswith(scheme):
            return b"/" + target[len(scheme) :].partition(b"/")[2]
    return target


def is_part(ours: list[Seen], theirs: list[Seen]) -> bool:
    """Whether ours are among theirs, in the same order: the front may answer some itself."""
    rest = iter(theirs)
    return all(one in rest for one in ours)
