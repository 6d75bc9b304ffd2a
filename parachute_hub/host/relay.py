"""A request on its way from the hub to the module, and the answer on its way back: neither is filtered twice.

The hub has already removed what a module must not see, and filters what it answers.
"""

from typing import Final

from parachute_hub.proxy import module_redirects
from parachute_hub.proxy.access_record import RequestSummary
from parachute_hub.proxy.client_address import ClientInfo
from parachute_hub.proxy.head import RequestHead, ResponseHead
from parachute_hub.proxy.headers import HOP_BY_HOP
from parachute_hub.proxy.plan import ModuleRequest
from parachute_hub.proxy.routes import ErrorResponse, Mount

RETRY_SECONDS: Final = 2
_NOT_FORWARDED: Final = HOP_BY_HOP | {b"host", b"content-length", b"expect"}
_NOT_RETURNED: Final = HOP_BY_HOP | {b"content-length"}


def forwarded(short: str, port: int, request: RequestHead, caller: ClientInfo) -> ModuleRequest:
    """The request as the module gets it: everything that the hub sent, with the module's own Host."""
    lines = [line for name, _, line in request.fields if name not in _NOT_FORWARDED and name not in request.named]
    if request.chunked:
        lines.append(b"Transfer-Encoding: chunked")
    elif request.length is not None:
        lines.append(b"Content-Length: %d" % request.length)
    if request.upgrade:
        lines.append(b"Connection: Upgrade\r\nUpgrade: websocket")
    mount = Mount(short=short, prefix=b"", port=port)
    head = b"\r\n".join([b"%b %b HTTP/1.1" % (request.method, request.target), mount.host_line, *lines, b"", b""])
    return ModuleRequest(
        mount=mount,
        request=request,
        path=request.target.partition(b"?")[0],
        caller=caller,
        tokens=(),
        by_session=False,
        refusal=None,
        head=head,
        place=mount.place,
        asked=RequestSummary.of(request),
        issuer="",
    )


def returned(head: ResponseHead, port: int) -> list[bytes]:
    """The answer's header lines for the hub, without framing. An address of the module's own port becomes a path,
    since the hub does not know the port.
    """
    lines = []
    for name, value, line in head.fields:
        if name in _NOT_RETURNED or name in head.named:
            continue
        if name == b"location":
            place = module_redirects.target(value, port, b"", False, ())
            line = line if place == value or place is None else b"Location: " + place
        lines.append(line)
    return lines


def not_running(short: str, state: str, reason: str) -> ErrorResponse:
    """503: the module does not run here."""
    why = f": {reason.rstrip('.')}" if reason else ""
    return ErrorResponse(
        503,
        "module_not_running",
        f"The module {short} is not running on its machine ({state}){why}.",
        headers=(("Retry-After", str(RETRY_SECONDS)),),
        detail={"service": short, "state": state},
    )
