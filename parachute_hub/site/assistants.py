"""Assistants that can be connected to a vault, with the steps and links of their own documents."""

import json
import re
from base64 import b64encode
from collections.abc import Callable, Sequence
from urllib.parse import quote, urlsplit

from parachute_hub.system.records import frozen


@frozen
class Step:
    """A sentence, and what to copy for it: `{name}` and `{address}` are the vault's."""

    text: str
    copy: str = ""
    copied: str = ""


@frozen(kw_only=True)
class Link:
    """Opens the right page or program. `url` gets the vault's name and address."""

    label: str
    url: Callable[[str, str], str]


@frozen(kw_only=True)
class Assistant:
    """`place` says where it is used. `from_outside`: it reaches the hub from the internet.

    Its consent is told from others by its verified domain or, if it has none, by the name that it gives.
    """

    id: str
    name: str
    place: str
    steps: Sequence[Step]
    from_outside: bool = False
    link: Link | None = None
    domain: str = ""
    called: str

    def is_it(self, name: str, domain: str | None) -> bool:
        """Whether an app with this name and verified domain is this assistant."""
        if domain and self.domain:
            return re.search(self.domain, domain) is not None
        return re.search(self.called, name, re.IGNORECASE) is not None


def _cursor(name: str, address: str) -> str:
    """Cursor, "MCP install links": the configuration in base64."""
    config = b64encode(json.dumps({"url": address}).encode()).decode()
    return f"cursor://anysphere.cursor-deeplink/mcp/install?name={quote(name)}&config={quote(config, safe='')}"


def _vscode(name: str, address: str) -> str:
    """VS Code, "Create an MCP installation URL"."""
    config = json.dumps({"name": name, "type": "http", "url": address}, separators=(",", ":"))
    return f"vscode:mcp/install?{quote(config, safe='')}"


_ADDRESS = Step("Copy the address of your notes.", "{address}", "Address")
_ALLOW = Step("It opens this hub. Sign in and choose what it may do.")

ASSISTANTS = (
    Assistant(
        id="claude",
        name="Claude",
        place="On the web, the desktop and the phone",
        from_outside=True,
        steps=(
            _ADDRESS,
            Step("In Claude, open the connectors in its settings and choose “Add custom connector”."),
            Step("Paste the address, and press Add, then Connect."),
            _ALLOW,
        ),
        link=Link(label="Open Claude’s connectors", url=lambda *_: "https://claude.ai/customize/connectors"),
        domain=r"(^|\.)claude\.(ai|com)$",
        called=r"^claude(?!.*code)",
    ),
    Assistant(
        id="claude-code",
        name="Claude Code",
        place="In a terminal",
        steps=(
            Step(
                "Run this once in a terminal.",
                "claude mcp add --transport http {name} {address}",
                "Command for Claude Code",
            ),
            Step("Start Claude Code, type /mcp, and choose it from the list to sign in."),
            _ALLOW,
        ),
        called=r"claude[ -]?code",
    ),
    Assistant(
        id="chatgpt",
        name="ChatGPT",
        place="On the web",
        from_outside=True,
        steps=(
            _ADDRESS,
            Step("In ChatGPT, open Settings, then Apps and connectors, and turn on Developer mode under Advanced."),
            Step("Choose Create, give it a name, and paste the address. Leave the authentication set to OAuth."),
            _ALLOW,
        ),
        link=Link(label="Open ChatGPT’s settings", url=lambda *_: "https://chatgpt.com/#settings/Connectors"),
        domain=r"(^|\.)(chatgpt|openai)\.com$",
        called="chatgpt|openai",
    ),
    Assistant(
        id="cursor",
        name="Cursor",
        place="In the editor",
        steps=(
            Step("Press “Add to Cursor”. Cursor opens and shows the address: choose Install."),
            Step("In Cursor’s settings under MCP, press “Needs login”."),
            _ALLOW,
        ),
        link=Link(label="Add to Cursor", url=_cursor),
        domain=r"(^|\.)cursor\.(com|sh)$",
        called="cursor",
    ),
    Assistant(
        id="vscode",
        name="VS Code",
        place="In the editor, with Copilot",
        steps=(
            Step("Press “Add to VS Code”. It opens and shows the address: choose Install."),
            Step("It asks whether this hub may sign you in: choose Allow."),
            _ALLOW,
        ),
        link=Link(label="Add to VS Code", url=_vscode),
        domain=r"(^|\.)(vscode\.dev|visualstudio\.com)$",
        called="visual studio code|vs ?code",
    ),
    Assistant(
        id="codex",
        name="Codex",
        place="In a terminal",
        steps=(
            Step("Run this once in a terminal.", "codex mcp add {name} --url {address}", "Command to add it to Codex"),
            Step("Then sign in with this. A browser opens.", "codex mcp login {name}", "Command to sign in with Codex"),
            _ALLOW,
        ),
        called="codex",
    ),
    Assistant(
        id="other",
        name="Another app",
        place="Anything that speaks MCP",
        steps=(
            _ADDRESS,
            Step("In the app, add an MCP server of the type “Streamable HTTP” or “remote”, and paste the address."),
            _ALLOW,
            Step("An app that cannot open a browser needs a token. The owner of this hub makes one under Tokens."),
        ),
        called="^",
    ),
)


def name_in(vault: str) -> str:
    """What assistants call a vault: the default one is known by the hub's name.

    >>> name_in("default"), name_in("work")
    ('parachute', 'parachute-work')
    """
    return "parachute" if vault == "default" else f"parachute-{vault}"


def is_private(address: str) -> bool:
    """Whether only this machine or its private network reaches the address: plain http, or a name without a dot.

    >>> is_private("https://box.tail1.ts.net/x"), is_private("https://hub.example.com/x")
    (True, False)
    """
    parts = urlsplit(address)
    host = parts.hostname or ""
    return parts.scheme == "http" or "." not in host or host.endswith((".local", ".ts.net"))
