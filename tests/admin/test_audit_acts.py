"""The list of acts: every changing route and every operation has some, and each has words."""

import re

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.admin.audit_events import JOBS, PROBLEMS, STATES
from parachute_hub.site.route_table import ROWS
from tests.support.documents import ROOT

# Routes that record nothing, and why that is right.
SILENT = {
    "/oauth/register": "strangers use it; the app is recorded when somebody decides about it",
    "/oauth/token": "an app renews its own access; trouble is recorded as app-key-reused",
    "/oauth/revoke": "an app gives up its own access",
    "/api/account/2fa/start": "the second factor is on once it is confirmed",
    "/admin/setup/modules": "a choice; the installs are recorded",
    "/admin/setup/vault": "a choice; the install is recorded",
    "/admin/setup/scribe": "a choice; the install is recorded",
    "/admin/setup/continue": "a page of the wizard",
    "/admin/setup/move-in/plan": "it only looks",
    "/admin/setup/restore/<restore_id>/parts/<offset>": "a part of an upload; restored is recorded",
    "/admin/setup/restore/<restore_id>/end": "the end of an upload; restored is recorded",
}
# Tests that do something by its real route and read the entry; acts that the tests of `audit_trail` and `audit_events`
# drive one by one are left out.
TRIED_IN = (
    "tests/admin/test_audit_accounts.py",
    "tests/admin/test_users_api.py",
    "tests/browser/test_incidents.py",
    "tests/live/test_audit.py",
    "tests/live/test_migrate.py",
    "tests/oauth/test_branches.py",
)
SERVICE = ("hub-started", "hub-stopped", "first-sign-in", "owner-reset", "app-key-reused")


def acts() -> set[str]:
    """Every act that there is."""
    return {
        *(act for row in ROWS for act in row.records.split()),
        *JOBS.values(),
        *STATES.values(),
        *PROBLEMS.values(),
        *SERVICE,
    }


class AuditActsTests(SynchronousTestCase):
    def test_every_changing_route_names_its_act(self) -> None:
        silent = {row.rule for row in ROWS if not row.records}
        self.assertEqual(silent, set(SILENT))

    def test_every_act_is_tried_by_a_test(self) -> None:
        driven = {row.records for row in ROWS if row.by_request and row.records}
        driven |= {*JOBS.values(), *STATES.values(), *PROBLEMS.values()}
        tests = "".join((ROOT / path).read_text() for path in TRIED_IN)
        quoted = {*re.findall(r"[\"']([\w-]+)[\"']", tests)}
        self.assertEqual(acts() - driven - quoted, set())

    def test_every_act_has_a_sentence_in_the_admin_app(self) -> None:
        words = set(re.findall(r'^  "?([\w-]+)"?: "', (ROOT / "web" / "src" / "acts.ts").read_text(), re.MULTILINE))
        self.assertEqual(acts() - words, set())
