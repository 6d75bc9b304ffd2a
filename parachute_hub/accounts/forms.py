"""Parses request bodies of pages and scripts: a form or JSON, small, each field once, never from the URL."""

from collections.abc import Mapping, Sequence
from typing import Any

from twisted.web.iweb import IRequest

from parachute_hub.site import bodies
from parachute_hub.site.bodies import JSON, media_type, parameters, read_body, read_json
from parachute_hub.site.errors import Refused
from parachute_hub.system.records import frozen

LIMIT = 16 * 1024
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
    return media_type(request) == JSON


def answers_json(request: IRequest) -> bool:
    """True if the response should be JSON: as the body, or without one according to `Accept`."""
    if request.method in (b"GET", b"HEAD"):
        return JSON in (request.getHeader("accept") or "")
    return is_json(request)


def read_form(request: IRequest) -> Form:
    """The fields of the body. Raises Refused 400, 413 or 415."""
    match media_type(request):
        case bodies.JSON:
            body = read_json(request, limit=LIMIT)
            return Form({name: _texts(name, item) for name, item in body.items() if item is not None}, is_json=True)
        case bodies.FORM:
            return Form(_grouped(read_body(request, LIMIT)), is_json=False)
        case _ if not read_body(request, LIMIT):
            return Form({}, is_json=False)
        case _:
            raise Refused(415, "unsupported_media_type", "Send a form, or JSON as application/json.")


def query(request: IRequest, name: str) -> str:
    """A URL parameter, empty if missing or malformed. Never used for secrets."""
    try:
        return _grouped(request.uri.partition(b"?")[2]).get(name, [""])[0]
    except Refused:
        return ""


def peek(request: IRequest, name: str) -> str | None:
    """One text field of any area's body, without validating the rest; None if missing."""
    try:
        if is_json(request):
            found = read_json(request, limit=PEEK_LIMIT).get(name)
            return found if isinstance(found, str) else None
        values = _grouped(read_body(request, PEEK_LIMIT)).get(name, [])
    except Refused:
        return None
    return values[0] if len(values) == 1 else None


def _grouped(raw: bytes) -> dict[str, list[str]]:
    fields: dict[str, list[str]] = {}
    for name, value in parameters(raw):
        fields.setdefault(name, []).append(value)
    return fields


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
