"""The MCP Python SDK: from the vault's 401 to its tools, with only the address configured."""

import asyncio
import sys
from urllib.parse import parse_qs, urlsplit

import httpx2
from mcp import ClientSession
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientMetadata

RESOURCE = sys.argv[2]
DOCUMENT = sys.argv[3] if len(sys.argv) > 3 else None


class Kept:
    """A client's persistent state."""

    def __init__(self) -> None:
        self.tokens = None
        self.client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client


answers: list[str] = []


async def redirect(url: str) -> None:
    print(f"AUTHORIZE {url}", flush=True)
    answers.append(sys.stdin.readline().strip())


async def callback() -> AuthorizationCodeResult:
    sent = {name: values[0] for name, values in parse_qs(urlsplit(answers[-1]).query).items()}
    return AuthorizationCodeResult(code=sent["code"], state=sent.get("state"), iss=sent.get("iss"))


async def main() -> None:
    kept = Kept()
    provider = OAuthClientProvider(
        server_url=RESOURCE,
        client_metadata=OAuthClientMetadata(client_name="MCP Python", redirect_uris=["http://127.0.0.1:7777/callback"]),
        storage=kept,
        redirect_handler=redirect,
        callback_handler=callback,
        client_metadata_url=DOCUMENT,
    )
    async with httpx2.AsyncClient(auth=provider) as http:
        async with streamable_http_client(RESOURCE, http_client=http) as streams:
            async with ClientSession(streams[0], streams[1]) as session:
                await session.initialize()
                names = {tool.name for tool in (await session.list_tools()).tools}
                assert {"create-note", "query-notes", "vault-info"} <= names, names
                await session.call_tool("create-note", {"content": "by the MCP Python SDK"})
                first = kept.tokens
                # An access token that has ended makes the provider refresh before the next request.
                provider.context.token_expiry_time = 1.0
                found = await session.call_tool("query-notes", {"search": "Python", "include_content": True})
                assert "by the MCP Python SDK" in str(found), found
                assert kept.tokens.refresh_token != first.refresh_token
    assert kept.tokens.scope == "vault:default:read vault:default:write", kept.tokens.scope
    if DOCUMENT:
        assert kept.client.client_id == DOCUMENT, kept.client
    print("ok")


asyncio.run(main())
