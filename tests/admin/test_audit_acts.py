"""The list of acts: every changing route and operation has some, each has words, and docs/activity.md says who records
it.
"""

import ast
import re
from collections.abc import Iterator

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.admin.audit_events import JOBS, PROBLEMS, STATES
from parachute_hub.site.route_table import ROWS
from tests.support.documents import ROOT

# Routes that record nothing, and why that is right.
SILENT = {
    "/oauth/register": "strangers use it; the app is recorded when somebody decides about it",
    "/oauth/token": "an app renews its own access; trouble is recorded as app-key-reused",
    "/oauth/revoke": "an app gives up its own access",
    "/oauth/device_authorization": "a device asks; app-connected is recorded once somebody agrees",
    "/api/confirmations": "a command asks a person to confirm; what it does then is recorded",
    "/login/passkey/options": "a challenge; sign-in is recorded",
    "/login/2fa/options": "a challenge; sign-in is recorded",
    "/api/account/step-up/options": "a challenge; what is confirmed is recorded",
    "/api/account/passkeys/start": "a challenge; passkey-added is recorded",
    "/api/account/2fa/start": "the second factor is on once it is confirmed",
    "/login/phone": "a link is opened; phone-signed-in is recorded once it is let in",
    "/admin/setup/modules": "a choice; the installs are recorded",
    "/admin/setup/vault": "a choice; the install is recorded",
    "/admin/setup/scribe": "a choice; the install is recorded",
    "/admin/setup/continue": "a page of the wizard",
    "/admin/setup/move-in/plan": "it only looks",
    "/admin/setup/restore/<restore_id>/parts/<offset>": "a part of an upload; restored is recorded",
    "/admin/setup/restore/<restore_id>/end": "the end of an upload; restored is recorded",
}
# Acts that no route names: commands, the hub itself, and what comes with other acts.
SERVICE = (
    "hub-started",
    "hub-stopped",
    "first-sign-in",
    "session-renewed",
    "passkey-blocked",
    "owner-reset",
    "move-undone",
    "app-key-reused",
    "vault-deleted",
)
ATOMIC = ("tests/admin/test_audit_atomic.py",)
# Tests that do something and hear of it. `tests.admin.test_audit_events` drives operations, states and problems.
TRIED_IN = (
    "tests/accounts/people/test_account_pages.py",
    "tests/accounts/signin/test_phone_links.py",
    "tests/admin/test_logs_api.py",
    "tests/admin/test_modules_api.py",
    "tests/admin/test_problems_api.py",
    "tests/admin/test_space_api.py",
    "tests/admin/test_vaults_api.py",
    "tests/backup/test_service.py",
    "tests/live/test_audit.py",
    "tests/live/test_reach.py",
    "tests/live/test_backup.py",
    "tests/live/test_restore.py",
    "tests/notices/test_service.py",
    "tests/oauth/tokens/test_tokens_api.py",
)
ROW = re.compile(r"^\| `([\w-]+)` \| ([\w ]+) \| `([\w/.]+)` \|$", re.MULTILINE)
# Calls that take an act, as a text, or as the first of a pair.
RECORDING = {
    *("Act", "note", "_note", "_noted", "done", "_done", "enter", "enter_within", "_renew", "renew", "_put_password"),
    *("_add", "mint", "_mint", "_short", "_for_page"),
}
NAME = re.compile(r"[a-z]+(-[a-z0-9]+)+|invited|confirm|locked|restored")


def acts() -> set[str]:
    """Every act that there is."""
    return {
        *(act for row in ROWS for act in row.records.split()),
        *JOBS.values(),
        *STATES.values(),
        *PROBLEMS.values(),
        *SERVICE,
    }


def table() -> dict[str, tuple[str, str]]:
    """How each act is recorded, and by which file."""
    return {act: (how, path) for act, how, path in ROW.findall((ROOT / "docs" / "activity.md").read_text())}


def recorded(source: str) -> set[str]:
    """The acts that are named where something is recorded."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    named = [call for call in calls if (getattr(call.func, "attr", None) or getattr(call.func, "id", "")) in RECORDING]
    given = [value for call in named for value in (*call.args, *(one.value for one in call.keywords))]
    return {text for value in given for text in _texts(value) if NAME.fullmatch(text)}


def _texts(value: ast.expr) -> Iterator[str]:
    match value:
        case ast.Constant(value=str(text)):
            yield text
        case ast.IfExp(body=one, orelse=other):
            yield from (*_texts(one), *_texts(other))
        case ast.Tuple(elts=[first, *_]) | ast.BoolOp(values=[_, ast.Tuple(elts=[first, *_])]):
            yield from _texts(first)


class AuditActsTests(SynchronousTestCase):
    def test_every_changing_route_names_its_act(self) -> None:
        silent = {row.rule for row in ROWS if not row.records}
        self.assertEqual(silent, set(SILENT))

    def test_the_table_has_every_act(self) -> None:
        self.assertEqual((acts() - set(table()), set(table()) - acts()), (set(), set()))

    def test_every_act_is_named_by_the_file_that_records_it(self) -> None:
        for act, (how, path) in table().items():
            source = (
                (ROOT / "parachute_hub" / path).read_text().replace('f"role-{role}"', '"role-admin", "role-member"')
            )
            self.assertIn(f'"{act}"', source, f"{path} does not record {act} {how}")

    def test_nothing_else_is_recorded(self) -> None:
        sources = (path.read_text() for path in (ROOT / "parachute_hub").rglob("*.py"))
        found = {act for source in sources if re.search(r"\bAct\b|note|done\(", source) for act in recorded(source)}
        self.assertGreater(len(found), 60)
        self.assertEqual(found - set(table()), set())

    def test_every_act_is_tried(self) -> None:
        """Acts on the database by refusing their entry; the others by what does them."""
        links = dict.fromkeys(("link-set", "link-ended", "link-renewed"), ("tests/live/test_links_paired.py",))
        elsewhere = {
            "move-undone": ("tests/migration/test_home.py",),
            "restored": ("tests/live/test_restore.py",),
            **links,
        }
        for act, (how, _) in table().items():
            if how in ("in its transaction", "once done"):
                paths = elsewhere.get(act, ATOMIC if how == "in its transaction" else TRIED_IN)
                self.assertRegex("".join((ROOT / path).read_text() for path in paths), f"[\"']{act}[\"']")

    def test_an_entry_of_its_own_is_only_for_what_has_no_transaction(self) -> None:
        """`note` as the work of a transaction would be an entry beside its act."""
        for path in (ROOT / "parachute_hub").rglob("*.py"):
            alone = re.search(r"write\(self\._?(audit\.)?note\b", path.read_text())
            self.assertEqual(alone is not None, path.name == "trail.py", path)

    def test_every_act_has_a_sentence_in_the_admin_app(self) -> None:
        words = set(re.findall(r'^  "?([\w-]+)"?: "', (ROOT / "web" / "src" / "acts.ts").read_text(), re.MULTILINE))
        self.assertEqual(acts() - words, set())
