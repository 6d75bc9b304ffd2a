"""The process that sends one notice through apprise: a job on stdin, its outcome on stdout."""

import json
import socket
import sys
from collections.abc import Callable
from typing import Any

from parachute_hub.system.public_addresses import is_public

_PRIVATE = "This address is in a private network. Confirm that notices may go there."
_REFUSED = "The service did not take the notice. Check the address."


def main() -> None:
    """Never a traceback: it could hold the address."""
    print(json.dumps(send(json.loads(sys.stdin.buffer.read()))))


def send(job: dict[str, Any]) -> dict[str, str]:
    """`kind` is `sent`, or a word for why not; `text` is for the owner."""
    import apprise

    refused: list[str] = []
    if not job["private"]:
        socket.getaddrinfo = guarded(socket.getaddrinfo, refused)
    kinds = {"error": "failure", "warning": "warning", "info": "info", "success": "success"}
    services = apprise.Apprise()
    if not services.add(job["url"]):
        return {"kind": "invalid_address", "text": "apprise does not know this kind of address."}
    try:
        done = services.notify(title=job["title"], body=job["body"], notify_type=kinds[job["severity"]])
    except Exception as error:
        return {"kind": "failed", "text": f"apprise failed ({type(error).__name__})."}
    if done:
        return {"kind": "sent", "text": ""}
    return {"kind": "private_address", "text": _PRIVATE} if refused else {"kind": "refused", "text": _REFUSED}


def guarded(resolve: Callable[..., Any], refused: list[str]) -> Any:
    """A resolver that gives public addresses only; it notes the hosts that it refused."""

    def lookup(host: Any, *args: Any, **options: Any) -> Any:
        found = resolve(host, *args, **options)
        if not all(is_public(str(address[0])) for *_, address in found):
            refused.append(str(host))
            raise socket.gaierror(socket.EAI_FAIL, "not a public address")
        return found

    return lookup


if __name__ == "__main__":
    main()
