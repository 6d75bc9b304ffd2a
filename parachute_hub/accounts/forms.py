"""Parses request bodies of pages and scripts: a form or JSON, small, each field once, never from the URL."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, parse_qsl

from attrs import frozen
from twisted.web.iweb import IRequest

from parachute_hub.site.errors import Refused
from parachute_hub.system import strict_json
from parachute_hub.system.strict_json import BadJson

LIMIT = 16 * 1024
MOST_FIELDS = 100
PEEK_LIMIT = 1024 * 1024


@frozen
class Form:
    """The fields of a body. `is_json` is its format, and so the format of the response."""

    fields: Mapping[str, Sequence[str]]
    is_json: bool

    def text(self, name: str, default: str = "") -> str:
        """A field that may appear once. Raises Refused 400 for duplicates."""
        values = self.fields.get(name, ())
        if len(values) > 1:
            raise Refused(400, "invalid_request", f"The field {name} was sent more than once.")
        return values[0] if values else default

    def list(self, name: str) -> Sequence[str]:
        """A field that may appear any number of times."""
        return self.fields.get(name, ())


def is_json(request: IRequest) -> bool:
    """True for a JSON body."""
    return _media_type(request) == "application/json"


def answers_json(request: IRequest) -> bool:
    """True if the response should be JSON: as the body, or without one according to `Accept`."""
    if request.method in (b"GET", b"HEAD"):
        return "application/json" in (request.getHeader("accept") or "")
    return is_json(request)


def read_form(request: IRequest) -> Form:
    """The fields of the body, which can be read again afterwards. Raises Refused 400, 413 or 415."""
    request.content.seek(0)
    raw = request.content.read(LIMIT + 1)
    request.content.seek(0)
    if len(raw) > LIMIT:
        raise Refused(413, "too_large", f"Send at most {LIMIT // 1024} KiB here.")
    match _media_type(request):
        case "application/json":
            return Form(_json_fields(raw), is_json=True)
        case "application/x-www-form-urlencoded":
            return Form(_form_fields(raw), is_json=False)
        case _ if not raw:
            return Form({}, is_json=False)
        case _:
            raise Refused(415, "unsupported_media_type", "Send a form, or JSON as application/json.")


def query(request: IRequest, name: str) -> str:
    """A URL parameter, empty if missing. Never used for secrets."""
    try:
        values = parse_qs(request.uri.partition(b"?")[2].decode("latin-1"), max_num_fields=MOST_FIELDS).get(name)
    except ValueError:
        return ""
    return values[0] if values else ""


def peek(request: IRequest, name: str) -> str | None:
    """One text field of any area's body, without validating the rest; None if missing."""
    request.content.seek(0)
    raw = request.content.read(PEEK_LIMIT)
    request.content.seek(0)
    try:
        if is_json(request):
            value = strict_json.read_strictly(raw or b"{}", limit=PEEK_LIMIT)
            found = value.get(name) if isinstance(value, dict) else None
            return found if isinstance(found, str) else None
        fields = parse_qs(raw.decode("ascii"), max_num_fields=MOST_FIELDS)
    except ValueError:
        return None
    values = fields.get(name, [])
    return values[0] if len(values) == 1 else None


def _media_type(request: IRequest) -> str:
    return (request.getHeader("content-type") or "").partition(";")[0].strip().lower()


def _form_fields(raw: bytes) -> dict[str, list[str]]:
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
    except ValueError:
        raise Refused(400, "invalid_request", "The form cannot be read.") from None
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    return fields


def _json_fields(raw: bytes) -> dict[str, list[str]]:
    try:
        value = strict_json.read_strictly(raw or b"{}", limit=len(raw) + 2)
    except BadJson:
        raise Refused(400, "invalid_request", "The body is not valid JSON.") from None
    if not isinstance(value, dict):
        raise Refused(400, "invalid_request", "The body must be a JSON object.")
    return {name: _texts(name, item) for name, item in value.items() if item is not None}


def _texts(name: str, item: Any) -> list[str]:
    match item:
        case bool():
            return ["true" if item else ""]
        case str() | int():
            return [str(item)]
        case list() if all(isinstance(one, str) for one in item):
            return item
        case _:
            raise Refused(400, "invalid_request", f"The field {name} must be a text or a list of texts.")
