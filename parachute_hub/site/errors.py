"""The one kind of error that has an answer of its own: a request we will not carry out, and why."""

from collections.abc import Mapping
from typing import Any


class Refused(Exception):
    """A request was refused; says so in the words of the wire.

    `status` is the HTTP status, `error` a stable machine word (`not_found`), `description` a sentence
    for a person that says what to do next. `detail` is added to the JSON body, `headers` to the answer.
    Nothing in it may be secret: it is shown and logged as it is.
    """

    def __init__(
        self,
        status: int,
        error: str,
        description: str,
        *,
        headers: Mapping[str, str] | None = None,
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(description)
        self.status = status
        self.error = error
        self.description = description
        self.headers = dict(headers or {})
        self.detail = dict(detail or {})

    def body(self) -> dict[str, Any]:
        """The JSON form: `error`, `error_description` and the detail."""
        return {"error": self.error, "error_description": self.description, **self.detail}


def not_found(what: str = "not found") -> Refused:
    """404 for a thing that is not there, or that the caller may not know of."""
    return Refused(404, "not_found", what)
