"""Tokens as the API lists them, and the cursor that leads from page to page."""

import base64
import json
from typing import Any

from parachute_hub.site.errors import Refused
from parachute_hub.store.rows import TokenRecord
from parachute_hub.system import strict_json
from parachute_hub.system.timestamps import to_the_second

MAX_CURSOR = 1024


def listed(record: TokenRecord) -> dict[str, Any]:
    """A token for the API, without anything secret."""
    return {
        "jti": record.jti,
        "name": record.name,
        "user_id": record.user_id,
        "subject": record.subject,
        "client_id": record.client_id,
        "scopes": list(record.scopes),
        "expires_at": to_the_second(record.expires_at),
        "revoked_at": record.revoked_at and to_the_second(record.revoked_at),
        "created_at": to_the_second(record.created_at),
        "created_via": record.created_via,
        "last_used_at": record.last_used_at and to_the_second(record.last_used_at),
        "permissions": record.permissions,
    }


def cursor_of(record: TokenRecord) -> str:
    """Where the page after this token begins."""
    text = json.dumps({"created_at": record.created_at, "jti": record.jti})
    return base64.urlsafe_b64encode(text.encode()).decode()


def read_cursor(text: str | None) -> tuple[float, str] | None:
    """The reverse. Raises Refused 400."""
    if not text:
        return None
    try:
        value = strict_json.read_strictly(base64.urlsafe_b64decode(text), limit=MAX_CURSOR)
        return float(value["created_at"]), str(value["jti"])
    except (ValueError, TypeError, KeyError):
        raise Refused(400, "invalid_request", "cursor is not one that this hub gave.") from None
