"""Reads request bodies up to a limit: as bytes, a JSON object or form parameters. A body can be read again."""

from typing import Any
from urllib.parse import parse_qsl

from twisted.web.iweb import IRequest

from parachute_hub.site.errors import Refused
from parachute_hub.system import strict_json
from parachute_hub.system.strict_json import BadJson

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
JSON_BODY_LIMIT = 256 * 1024
MOST_PARAMETERS = 200


def media_type(request: IRequest) -> str:
    """The Content-Type in lower case, without parameters."""
    return (request.getHeader("content-type") or "").partition(";")[0].strip().lower()


def read_body(request: IRequest, limit: int) -> bytes:
    """The body; `limit` is in bytes. Raises Refused 413."""
    request.content.seek(0)
    raw: bytes = request.content.read(limit + 1)
    request.content.seek(0)
    if len(raw) > limit:
        raise Refused(413, "too_large", f"Send at most {limit // 1024} KiB here.")
    return raw


def read_json(request: IRequest, *, limit: int = JSON_BODY_LIMIT) -> dict[str, Any]:
    """The request's JSON object; an empty body is an empty object. Raises Refused 400 or 413."""
    raw = read_body(request, limit)
    if not raw.strip():
        return {}
    try:
        value = strict_json.read_strictly(raw, limit=limit)
    except BadJson:
        raise Refused(400, "invalid_request", "The body is not valid JSON.") from None
    if not isinstance(value, dict):
        raise Refused(400, "invalid_request", "The body must be a JSON object.")
    return value


def parameters(raw: bytes) -> list[tuple[str, str]]:
    """The names and values of a form body or query, in order. Raises Refused 400."""
    try:
        return parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_PARAMETERS)
    except ValueError:
        raise Refused(400, "invalid_request", "The parameters cannot be read.") from None
