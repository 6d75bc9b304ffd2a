"""OAuth request parameters, from the query or the body but never both, and each only once (RFC 6749, 3.1 and 3.2)."""

from collections.abc import Sequence

from twisted.web.iweb import IRequest

from parachute_hub.site.bodies import FORM, media_type, parameters, read_body
from parachute_hub.site.errors import Refused
from parachute_hub.system.records import frozen

BODY_LIMIT = 64 * 1024


@frozen
class Params:
    """Names and values, in order."""

    pairs: Sequence[tuple[str, str]]

    def get(self, name: str) -> str:
        """The first value; empty if missing (an empty value counts as missing, RFC 6749, section 3.1)."""
        return next((value for key, value in self.pairs if key == name), "")

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.pairs if key == name]

    def repeated(self, names: Sequence[str]) -> frozenset[str]:
        """Those of `names` that occur more than once."""
        return frozenset(name for name in names if len(self.all(name)) > 1)

    def need(self, *names: str) -> None:
        """Raise `invalid_request` unless all are present."""
        missing = [name for name in names if not self.get(name)]
        if missing:
            raise Refused(400, "invalid_request", f"Missing: {', '.join(missing)}.")


def query(request: IRequest) -> Params:
    """The query parameters. Raises Refused 400."""
    return Params(parameters(request.uri.partition(b"?")[2]))


def form(request: IRequest) -> Params:
    """The parameters of a form body. Raises Refused 400, 413 or 415."""
    raw = read_body(request, BODY_LIMIT)
    if media_type(request) != FORM:
        raise Refused(415 if raw else 400, "invalid_request", f"Send the parameters as {FORM}.")
    return Params(parameters(raw))
