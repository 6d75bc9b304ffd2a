import base64
import json
from urllib.parse import parse_qs, unquote, urlsplit

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.site.assistants import ASSISTANTS, Assistant, is_private

ADDRESS = "https://hub.example.com/vault/default/mcp"


def one(assistant_id: str) -> Assistant:
    return next(assistant for assistant in ASSISTANTS if assistant.id == assistant_id)


def link(assistant_id: str) -> str:
    found = one(assistant_id).link
    assert found is not None
    return found.url("parachute", ADDRESS)


class AssistantTests(SynchronousTestCase):
    def test_links_carry_name_and_address_as_the_programs_read_them(self) -> None:
        cursor = urlsplit(link("cursor"))
        told = parse_qs(cursor.query, strict_parsing=True)
        self.assertEqual((cursor.scheme, told["name"]), ("cursor", ["parachute"]))
        self.assertEqual(json.loads(base64.b64decode(told["config"][0], validate=True)), {"url": ADDRESS})
        head, _, rest = link("vscode").partition("?")
        self.assertEqual(head, "vscode:mcp/install")
        self.assertEqual(json.loads(unquote(rest)), {"name": "parachute", "type": "http", "url": ADDRESS})

    def test_a_consent_is_told_by_the_verified_domain_else_by_the_name(self) -> None:
        for assistant, name, domain, told in (
            ("claude", "Claude", "claude.ai", True),
            ("claude", "Claude", None, True),
            ("claude", "Claude Code (plugin)", None, False),
            ("claude", "Claude", "evil.example", False),
            ("claude", "Claude", "notclaude.ai", False),
            ("claude-code", "Claude Code", None, True),
            ("chatgpt", "Notes", "chatgpt.com", True),
            ("vscode", "Visual Studio Code", None, True),
            ("codex", "Codex", None, True),
            ("cursor", "Codex", None, False),
            ("other", "", None, True),
        ):
            self.assertEqual(one(assistant).is_it(name, domain), told, (assistant, name, domain))

    def test_an_address_that_only_this_machine_or_network_reaches_is_told_apart(self) -> None:
        for address, told in (
            ("http://127.0.0.1:1939/x", True),
            ("https://box/x", True),
            ("https://box.local/x", True),
            ("https://box.tail1.ts.net/x", True),
            (ADDRESS, False),
        ):
            self.assertEqual(is_private(address), told, address)
