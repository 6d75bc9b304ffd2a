"""`/api/audit`: who did what, for administrators."""

import csv
import io
from typing import Any

from klein import Klein
from twisted.web.iweb import IRequest

from parachute_hub.site.answers import as_json
from parachute_hub.site.area import area
from parachute_hub.site.auth import ADMIN, Authenticator
from parachute_hub.site.errors import Refused
from parachute_hub.store.audit import Audit, Filter
from parachute_hub.store.rows import Act
from parachute_hub.system.timestamps import to_the_second

PAGE = 100
MOST = 10_000
_FIELDS = ("number", "at", "actor", "means", "address", "action", "subject", "outcome", "why")
_TEXT = 200


class AuditApi:
    """The log with filters, and its export.

    Query: `q` (text anywhere), `actor`, `action` (several times), `outcome` (`ok` or `not-ok`), `since` and `until`
    (seconds since the epoch).
    """

    app: Klein = area()

    def __init__(self, *, who: Authenticator, audit: Audit) -> None:
        self._who = who
        self._audit = audit

    @app.route("/api/audit", methods=["GET"])
    def page(self, request: IRequest) -> bytes:
        """The newest matching entries; `before=<number>` for the next page."""
        self._who.need(request, ADMIN)
        before = _one(request, "before")
        whole = before.isascii() and before.isdigit() and len(before) < 18
        found = self._audit.latest(before=int(before) if whole else None, limit=PAGE, only=_filter(request))
        acts = [_told(number, act) for number, act in found]
        return as_json(request, {"acts": acts, "next_before": found[-1][0] if len(found) == PAGE else None})

    @app.route("/api/audit/export", methods=["GET"])
    def export(self, request: IRequest) -> bytes:
        """All matching entries as a file: `format=csv` (RFC 4180) or `json`."""
        self._who.need(request, ADMIN)
        form = _one(request, "format") or "csv"
        if form not in ("csv", "json"):
            raise Refused(400, "invalid_request", "The format is csv or json.")
        acts = [_told(number, act) for number, act in self._audit.latest(limit=MOST, only=_filter(request))]
        request.setHeader("Content-Disposition", f'attachment; filename="parachute-activity.{form}"')
        if form == "json":
            return as_json(request, {"acts": acts})
        content = as_csv(acts)
        request.setHeader("Content-Type", "text/csv; charset=utf-8")
        request.setHeader("Cache-Control", "no-store")
        request.setHeader("X-Content-Type-Options", "nosniff")
        request.setHeader("Content-Length", str(len(content)))
        return content


def as_csv(acts: list[dict[str, Any]]) -> bytes:
    """Lines of a table. A text that a spreadsheet would compute is marked as text (OWASP, CSV injection)."""
    file = io.StringIO()
    table = csv.writer(file)
    table.writerow(_FIELDS)
    table.writerows([_plain(act[name]) for name in _FIELDS] for act in acts)
    return file.getvalue().encode("utf-8", "replace")


def _plain(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def _filter(request: IRequest) -> Filter:
    outcome = _one(request, "outcome")
    if outcome not in ("", "ok", "not-ok"):
        raise Refused(400, "invalid_request", "The outcome is ok or not-ok.")
    return Filter(
        text=_one(request, "q")[:_TEXT],
        actor=_one(request, "actor")[:_TEXT],
        actions=_all(request, "action")[:_TEXT],
        outcome=outcome,
        since=_seconds(request, "since"),
        until=_seconds(request, "until"),
    )


def _all(request: IRequest, name: str) -> list[str]:
    return [value.decode("utf-8", "replace") for value in (request.args or {}).get(name.encode(), [])]


def _one(request: IRequest, name: str) -> str:
    return next(iter(_all(request, name)), "")


def _seconds(request: IRequest, name: str) -> float | None:
    text = _one(request, name)
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        raise Refused(400, "invalid_request", f"Give {name} in seconds since the epoch.") from None


def _told(number: int, act: Act) -> dict[str, Any]:
    return {
        "number": number,
        "at": to_the_second(act.at),
        "actor": act.actor,
        "means": act.means,
        "address": act.address,
        "action": act.action,
        "subject": act.subject,
        "outcome": act.outcome,
        "why": act.why,
    }
