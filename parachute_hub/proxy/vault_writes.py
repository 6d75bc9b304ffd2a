"""Requests that make a vault larger: what tells them apart, and what a vault without room answers."""

import re
from collections.abc import Callable
from typing import Final, Literal, Protocol, TypeAlias

from attrs import evolve

from parachute_hub.proxy.access_record import Recorder, RequestRecord
from parachute_hub.proxy.access_rules import may_have_credential
from parachute_hub.proxy.head import RequestHead
from parachute_hub.proxy.plan import ModuleRequest
from parachute_hub.proxy.routes import MCP, ErrorResponse, is_suspect
from parachute_hub.system import strict_json
from parachute_hub.system.records import frozen
from parachute_hub.system.strict_json import BadJson

Effect: TypeAlias = Literal["none", "may shrink", "grows", "by message"]
"""`by message`: only the body of an assistant's request says whether it adds something."""

Ended: TypeAlias = Callable[[bool], None]
"""Told once, with whether the vault stored what the request brought."""

MESSAGE_LIMIT: Final = 64 * 1024
"""A longer message of an assistant adds something, since questions and deletions are short."""
VAULTS: Final = b"/vault/"
_READING: Final = frozenset((b"GET", b"HEAD", b"OPTIONS"))
# Emptying the trash or restoring from it takes no room, and a transcription is not stored.
_TAKES_NO_ROOM = re.compile(rb"/api/(trash|transcribe)(/|\Z)").match
# The first words of tools that add nothing. A tool that is not known to be harmless is refused.
_HARMLESS: Final = frozenset(
    ("query", "list", "find", "get", "read", "search", "related", "synthesize", "delete", "vault")
)
_HARMLESS_TOOLS: Final = frozenset(("note-history", "restore-note"))


class VaultRoom(Protocol):
    """Knows how much room the vaults have. Called for every request that may change one, so it does not measure."""

    def refusal(self, vault: str, adding: int | None) -> ErrorResponse | None:
        """Why `adding` bytes find no room in this vault; None if they do. `adding` is None for an unknown size."""

    def reserve(self, vault: str, adding: int) -> Ended:
        """Hold room for a request that adds about so many bytes, or may remove some. Call the result at its end."""


class NoQuotas:
    """There is always room."""

    def refusal(self, vault: str, adding: int | None) -> ErrorResponse | None:
        return None

    def reserve(self, vault: str, adding: int) -> Ended:
        return lambda stored: None


@frozen
class Reserving:
    """Records a request, and ends what was reserved for it."""

    _recorder: Recorder
    _ended: Ended

    def seconds(self) -> float:
        return self._recorder.seconds()

    def closed(self, account: RequestRecord) -> None:
        self._ended(200 <= account.status < 300)
        self._recorder.closed(account)


def effect(passage: ModuleRequest) -> Effect:
    """What a request may do to the size of the vault at its mount. The vault refuses whoever shows no credential."""
    if passage.request.method in _READING or not passage.mount.prefix.startswith(VAULTS):
        return "none"
    if not may_have_credential(passage.request):
        return "none"
    if passage.request.method == b"DELETE":
        return "may shrink"
    rest = passage.path[len(passage.mount.prefix) :]
    if rest in (b"", MCP):
        return "by message"
    return "may shrink" if _TAKES_NO_ROOM(rest) and not is_suspect(rest) else "grows"


def announced(request: RequestHead, what: Effect) -> int | None:
    """How many bytes a request adds at most; None if it does not say."""
    if what in ("none", "may shrink"):
        return 0
    if request.chunked:
        return MESSAGE_LIMIT if what == "by message" else None
    return request.length or 0


def vault_of(passage: ModuleRequest) -> str:
    """The name of the vault at the request's mount."""
    return passage.mount.prefix[len(VAULTS) :].decode("latin-1")


def refused_message(body: bytes, refusal: ErrorResponse) -> ErrorResponse | None:
    """The answer to an assistant's message for a vault without room; None if the message adds nothing.

    A call of a tool gets a result of that tool, since assistants read those (Model Context Protocol, Tools, Error
    Handling); what the hub and the vault might read differently is refused.
    """
    try:
        message = strict_json.read_strictly(body, limit=MESSAGE_LIMIT)
    except BadJson:
        return refusal
    calls = message if isinstance(message, list) else [message]
    if not any(_adds(call) for call in calls):
        return None
    if not isinstance(message, dict) or "id" not in message:
        return refusal
    result = {"content": [{"type": "text", "text": refusal.text}], "isError": True, "resultType": "complete"}
    return evolve(refusal, status=200, detail={"jsonrpc": "2.0", "id": message["id"], "result": result})


def _adds(call: object) -> bool:
    """Whether a message calls a tool that may add something."""
    if not isinstance(call, dict) or call.get("method") != "tools/call":
        return False
    params = call.get("params")
    name = params.get("name") if isinstance(params, dict) else None
    if not isinstance(name, str):
        return True
    return name not in _HARMLESS_TOOLS and re.split("[-_.]", name)[0] not in _HARMLESS
