"""The error type that maps to an HTTP response."""

from collections.abc import Mapping
from typing import Any

from parachute_hub.system.storage_trouble import storage_trouble

AGAIN = 60
"""Seconds after which a program may try again what answered 503, unless something else is said."""


class Refused(Exception):
    """A refused request and its response.

    `status` is the HTTP status, `error` a stable word for programs (`not_found`), `description` a sentence that tells
    the user what to do next. `detail` is added to the JSON body, `headers` to the response; 503 has a Retry-After in
    any case. All of it is shown and logged, so it must not contain secrets.
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
        self.headers = {**({"Retry-After": str(AGAIN)} if status == 503 else {}), **(headers or {})}
        self.detail = dict(detail or {})

    def body(self) -> dict[str, Any]:
        """The JSON form: `error`, `error_description` and the detail."""
        return {"error": self.error, "error_description": self.description, **self.detail}


def not_found(what: str = "not found") -> Refused:
    """404 for something that does not exist, or that the caller must not know about."""
    return Refused(404, "not_found", what)


def not_stored(error: BaseException, text: str = "") -> Refused:
    """The response to a change that could not be saved because of `error`, depending on the storage trouble.

    `text` says what could not be saved.
    """
    trouble = storage_trouble(error)
    if trouble is None:
        return Refused(503, "not_saved", text or "That could not be saved. The hub's log has the details.")
    headers = {} if trouble.retry_after is None else {"Retry-After": str(trouble.retry_after)}
    return Refused(trouble.status, trouble.error, f"{text} {trouble.text}".strip(), headers=headers)
