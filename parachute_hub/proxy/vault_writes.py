"""Requests that make a vault larger: what tells them apart, and what a vault without room answers."""

import re
from typing import Final, Literal, Protocol, TypeAlias

from attrs import evolve

from parachute_hub.proxy.plan import ModuleRequest
from parachute_hub.proxy.routes import MCP, ErrorResponse
from parachute_hub.system import strict_json
from parachute_hub.system.strict_json import BadJson

Effect: TypeAlias = Literal["none", "may shrink", "grows", "by message"]
"""`by message`: only the body of an assistant's request says whether it adds something."""

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

    def refusal(self, vault: str, adding: int) -> ErrorResponse | None:
        """Why `adding` bytes find no room in this vault; None if they do."""

    def changes(self, vault: str, adding: int) -> None:
        """A request is passed on that adds about so many bytes, or may remove some."""


class NoQuotas:
    """There is always room."""

    def refusal(self, vault: str, adding: int) -> ErrorResponse | None:
        return None

    def changes(self, vault: str, adding: int) -> None: ...


def effect(passage: ModuleRequest) -> Effect:
    """What a request may do to the size of the vault at its mount."""
    if passage.request.method in _READING or not passage.mount.prefix.startswith(VAULTS):
        return "none"
    if passage.request.method == b"DELETE":
        return "may shrink"
    rest = passage.path[len(passage.mount.prefix) :]
    if rest in (b"", MCP):
        return "by message"
    return "may shrink" if _TAKES_NO_ROOM(rest) else "grows"


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
