"""MCP revision 2026-07-28 on the reference vault, and access control."""

import base64
import http.client
import json
from typing import Any
from urllib.parse import quote

from twisted.trial.unittest import SynchronousTestCase

from tests.live.vault_rig import RunningVault, running_vault
from tests.support.examples import Reply

PREFIX = "io.modelcontextprotocol"
REVISION = "2026-07-28"
NAMED = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}


class McpTestCase(SynchronousTestCase):
    """One vault for each test."""

    def setUp(self) -> None:
        """Starts it."""
        context = running_vault()
        self.vault: RunningVault = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)

    def send(self, method: str, headers: dict[str, str] | None = None, meta: Any = None, **params: Any) -> Reply:
        """A request of the new revision. None leaves a header out."""
        declared = {f"{PREFIX}/protocolVersion": REVISION, f"{PREFIX}/clientCapabilities": {}}
        given = {"_meta": declared if meta is None else meta, **params}
        body = {"jsonrpc": "2.0", "id": "a", "method": method, "params": given}
        standard = {"MCP-Protocol-Version": REVISION, "Mcp-Method": method}
        if method in NAMED:
            standard["Mcp-Name"] = str(params.get(NAMED[method]))
        sent = {name: value for name, value in {**standard, **(headers or {})}.items() if value != ""}
        return self.vault.ask("POST", "mcp", body, headers=sent)

    def result(self, method: str, **params: Any) -> Any:
        """The result of a request that must succeed."""
        reply = self.send(method, **params)
        self.assertEqual((reply.status, "error" in reply.json()), (200, False), reply.body)
        result = reply.json()["result"]
        self.assertEqual((reply.json()["id"], result["resultType"]), ("a", "complete"))
        self.assertEqual(result["_meta"][f"{PREFIX}/serverInfo"]["name"], "parachute-vault/default")
        return result

    def tool(self, name: str, **arguments: Any) -> Any:
        """The structured result of a tool."""
        result = self.result("tools/call", name=name, arguments=arguments)
        self.assertNotIn("isError", result, result)
        return result["structuredContent"]


class StatelessTests(McpTestCase):
    def test_discovery_names_revisions_and_capabilities(self) -> None:
        found = self.result("server/discover")
        self.assertEqual(found["supportedVersions"][0], REVISION)
        self.assertEqual(sorted(found["capabilities"]), ["completions", "prompts", "resources", "tools"])
        self.assertEqual((found["ttlMs"] >= 0, found["cacheScope"]), (True, "private"))

    def test_requests_that_do_not_fit_are_refused(self) -> None:
        version = {f"{PREFIX}/protocolVersion": REVISION}
        unknown = {**version, f"{PREFIX}/protocolVersion": "2099-01-01", f"{PREFIX}/clientCapabilities": {}}
        future = {"MCP-Protocol-Version": "2099-01-01"}
        table: list[tuple[str, str, dict[str, Any], int, int]] = [
            ("no _meta", "tools/list", {"meta": {}}, 400, -32602),
            ("no capabilities", "tools/list", {"meta": version}, 400, -32602),
            ("unknown revision", "tools/list", {"meta": unknown, "headers": future}, 400, -32022),
            ("another header", "tools/list", {"headers": {"MCP-Protocol-Version": "2025-11-25"}}, 400, -32020),
            ("no version header", "tools/list", {"headers": {"MCP-Protocol-Version": ""}}, 400, -32020),
            ("no method header", "tools/list", {"headers": {"Mcp-Method": ""}}, 400, -32020),
            ("another method", "tools/list", {"headers": {"Mcp-Method": "TOOLS/LIST"}}, 400, -32020),
            ("no name header", "tools/call", {"name": "list-tags", "headers": {"Mcp-Name": ""}}, 400, -32020),
            ("another name", "tools/call", {"name": "list-tags", "headers": {"Mcp-Name": "delete-note"}}, 400, -32020),
            ("bad base64", "tools/call", {"name": "list-tags", "headers": {"Mcp-Name": "=?base64?!?="}}, 400, -32020),
            ("removed method", "ping", {}, 404, -32601),
            ("removed handshake", "initialize", {}, 404, -32601),
            ("unknown method", "nothing/here", {}, 404, -32601),
            ("unknown tool", "tools/call", {"name": "no"}, 200, -32602),
            ("unknown prompt", "prompts/get", {"name": "no"}, 200, -32602),
            ("unknown resource", "resources/read", {"uri": "vault://default/note/no"}, 200, -32602),
            ("another vault", "resources/read", {"uri": "vault://other/note/no"}, 200, -32602),
            ("unknown cursor", "tools/list", {"cursor": "odd"}, 200, -32602),
            ("arguments that are no object", "tools/call", {"name": "list-tags", "arguments": "x"}, 200, -32602),
        ]  # fmt: skip
        for name, method, options, status, code in table:
            reply = self.send(method, **options)
            self.assertEqual((name, reply.status, reply.json()["error"]["code"]), (name, status, code), reply.body)
            self.assertEqual((name, reply.json()["id"]), (name, "a"))
        supported = self.send("tools/list", meta=unknown, headers=future).json()
        self.assertEqual(supported["error"]["data"]["requested"], "2099-01-01")
        self.assertIn("2025-06-18", supported["error"]["data"]["supported"])

    def test_names_that_are_not_ascii_come_in_base64(self) -> None:
        self.vault.ask("POST", "api/notes", {"content": "grün", "path": "Größe"})
        uri = "vault://default/note/Größe"
        coded = f"=?base64?{base64.b64encode(uri.encode()).decode()}?="
        reply = self.send("resources/read", uri=uri, headers={"Mcp-Name": coded})
        self.assertEqual(reply.json()["result"]["contents"][0]["text"], "grün")

    def test_a_foreign_host_or_page_is_refused_whatever_key_it_has(self) -> None:
        table = [
            ({}, 200),
            ({"Host": "localhost:1940"}, 200),
            ({"Origin": "http://localhost:6274"}, 200),
            ({"Host": "evil.example.com"}, 421),
            ({"Host": "evil.example.com", "Origin": "http://evil.example.com"}, 421),
            ({"Origin": "http://evil.example.com"}, 403),
            (
                {
                    "Host": "evil.example.com",
                    "Origin": "http://evil.example.com",
                    "X-Forwarded-Host": "evil.example.com",
                },
                421,
            ),
        ]
        for headers, status in table:
            reply = self.send("tools/list", headers=headers)
            self.assertEqual((headers, reply.status), (headers, status), reply.body)


class ToolTests(McpTestCase):
    def test_every_tool_says_what_it_takes_gives_and_may_break(self) -> None:
        found = self.result("tools/list")
        self.assertEqual((found["cacheScope"], len(found["tools"])), ("private", 9))
        for tool in found["tools"]:
            self.assertEqual(tool["inputSchema"]["type"], "object", tool["name"])
            self.assertEqual(tool["outputSchema"]["type"], "object", tool["name"])
            hints = tool["annotations"]
            self.assertEqual(
                sorted(hints), ["destructiveHint", "idempotentHint", "openWorldHint", "readOnlyHint", "title"]
            )
            self.assertFalse(hints["readOnlyHint"] and hints["destructiveHint"], tool["name"])

    def test_results_are_structured_as_announced(self) -> None:
        outputs = {tool["name"]: tool["outputSchema"] for tool in self.result("tools/list")["tools"]}
        note = self.tool("create-note", content="# Garden #soil", path="p", tags=["t"])
        calls: list[tuple[str, dict[str, Any]]] = [
            ("query-notes", {"id": "p"}), ("query-notes", {"search": "#soil", "preview": True}), ("list-tags", {}),
            ("update-note", {"id": "p", "content": "see [[q]]", "if_updated_at": note["updatedAt"]}),
            ("vault-info", {}), ("related-notes", {"id": "p"}), ("note-history", {"id": "p"}), 
            ("note-history", {"id": "p", "version": 1}),
            ("restore-note", {"id": note["id"], "version": 1}), ("delete-note", {"id": "p"}),
            ("restore-note", {"id": note["id"]}),
        ]  # fmt: skip
        for name, arguments in calls:
            structured = self.tool(name, **arguments)
            self.assertEqual((name, missing(outputs[name], structured)), (name, []))
        self.assertEqual(self.tool("query-notes", id="p")["notes"][0]["content"], "# Garden #soil")

    def test_failures_are_results_that_an_assistant_can_act_on(self) -> None:
        note = self.tool("create-note", content="one", path="p")
        self.tool("update-note", id="p", content="two")
        table = [
            ("update-note", {"id": "p", "content": "x", "if_updated_at": note["updatedAt"]}, '"content": "two"'),
            ("create-note", {"content": "x", "path": "p"}, "Another note has the path"),
            ("create-note", {"content": 1}, '"content" must be text'),
            ("query-notes", {"limit": 0}, "whole number"),
            ("delete-note", {"id": "no"}, 'There is no note "no".'),
            ("note-history", {"id": "p", "version": 99}, "There is no version"),
        ]
        for name, arguments, words in table:
            result = self.result("tools/call", name=name, arguments=arguments)
            self.assertTrue(result["isError"], name)
            self.assertIn(words, result["content"][0]["text"])
        self.tool("delete-note", id=note["id"])
        trashed = self.result("tools/call", name="query-notes", arguments={"id": note["id"]})
        self.assertIn("moved to the trash", trashed["content"][0]["text"])


def missing(schema: dict[str, Any], value: Any) -> list[str]:
    """Required fields of an object that are not there."""
    return [name for name in schema.get("required", []) if name not in value]


class ResourceTests(McpTestCase):
    def test_notes_are_listed_in_pages_and_read(self) -> None:
        notes = [{"content": f"text {number}", "path": f"n/{number}"} for number in range(230)]
        self.vault.ask("POST", "api/import", notes)
        found, cursor = [], None
        while True:
            page = self.result("resources/list", **({"cursor": cursor} if cursor else {}))
            found += page["resources"]
            cursor = page.get("nextCursor")
            if cursor is None:
                break
        self.assertEqual([resource["name"] for resource in found], [note["path"] for note in notes])
        self.assertEqual((page["ttlMs"], page["cacheScope"]), (0, "private"))
        (content,) = self.result("resources/read", uri=found[7]["uri"])["contents"]
        self.assertEqual((content["text"], content["mimeType"]), ("text 7", "text/markdown"))
        by_path = f"vault://default/note/{quote('n/8', safe='')}"
        self.assertEqual(self.result("resources/read", uri=by_path)["contents"][0]["text"], "text 8")
        templates = self.result("resources/templates/list")["resourceTemplates"]
        self.assertEqual(templates[0]["uriTemplate"], "vault://default/note/{key}")

    def test_a_file_is_read_as_a_blob(self) -> None:
        headers = {"Content-Type": "image/png"}
        self.vault.ask("POST", "api/attachments?id=picture-one", data=b"\x89PNG", headers=headers)
        (content,) = self.result("resources/read", uri="vault://default/attachment/picture-one")["contents"]
        self.assertEqual((base64.b64decode(content["blob"]), content["mimeType"]), (b"\x89PNG", "image/png"))

    def test_prompts_bring_the_notes_along(self) -> None:
        self.vault.ask("POST", "api/notes", {"content": "# Garden\n#soil"})
        prompts = {prompt["name"]: prompt for prompt in self.result("prompts/list")["prompts"]}
        self.assertEqual(sorted(prompts), ["connect-note", "review-tag", "summarize-note", "weekly-review"])
        calls: list[tuple[str, dict[str, Any]]] = [
            ("summarize-note", {"note": "garden"}),
            ("connect-note", {"note": "Garden"}),
            ("review-tag", {"tag": "soil"}),
            ("weekly-review", {}),
        ]
        for name, arguments in calls:
            messages = self.result("prompts/get", name=name, arguments=arguments)["messages"]
            self.assertEqual((name, messages[1]["content"]["resource"]["text"]), (name, "# Garden\n#soil"))
        for wrong in ({}, {"note": 1}, {"note": "nowhere"}):
            reply = self.send("prompts/get", name="summarize-note", arguments=wrong)
            self.assertEqual(reply.json()["error"]["code"], -32602)

    def test_arguments_are_completed(self) -> None:
        for path, tags in (("Garden", ["soil"]), ("Gate", ["soil", "stone"])):
            self.vault.ask("POST", "api/notes", {"content": "", "path": path, "tags": tags})
        prompt = {"type": "ref/prompt", "name": "review-tag"}
        template = {"type": "ref/resource", "uri": "vault://default/note/{key}"}
        table: list[tuple[dict[str, str], str, str, list[str]]] = [
            (prompt, "tag", "s", ["soil", "stone"]),
            (prompt, "tag", "#st", ["stone"]),
            ({"type": "ref/prompt", "name": "summarize-note"}, "note", "gard", ["Garden"]),
            (template, "key", "ga", ["Gate", "Garden"]),
        ]
        for ref, name, value, expected in table:
            found = self.result("completion/complete", ref=ref, argument={"name": name, "value": value})
            self.assertEqual((value, found["completion"]), (value, {"values": expected, "hasMore": False}))
        unknown: list[tuple[dict[str, str], str]] = [
            (prompt, "other"),
            ({"type": "ref/prompt", "name": "no"}, "tag"),
            ({}, "tag"),
        ]
        for ref, name in unknown:
            reply = self.send("completion/complete", ref=ref, argument={"name": name, "value": ""})
            self.assertEqual(reply.json()["error"]["code"], -32602)

    def test_a_subscription_tells_what_it_was_asked_for(self) -> None:
        note = self.vault.ask("POST", "api/notes", {"content": "one", "path": "watched"}).json()
        other = self.vault.ask("POST", "api/notes", {"content": "one"}).json()
        uris = ["vault://default/note/watched", f"vault://default/note/{note['id']}"]
        meta = {f"{PREFIX}/protocolVersion": REVISION, f"{PREFIX}/clientCapabilities": {}}
        wanted = {"resourceSubscriptions": uris, "resourcesListChanged": True, "toolsListChanged": True}
        params = {"_meta": meta, "notifications": wanted}
        body = {"jsonrpc": "2.0", "id": 5, "method": "subscriptions/listen", "params": params}
        connection = http.client.HTTPConnection("127.0.0.1", self.vault.port, timeout=20)
        self.addCleanup(connection.close)
        headers = {
            "Authorization": f"Bearer {self.vault.key}", "MCP-Protocol-Version": REVISION, "Mcp-Method": body["method"],
        }  # fmt: skip
        connection.request("POST", "/vault/default/mcp", json.dumps(body), headers)  # type: ignore[arg-type]
        stream = connection.getresponse()
        self.assertEqual((stream.status, stream.getheader("content-type")), (200, "text/event-stream"))

        def next_message() -> Any:
            lines: list[str] = []
            while (line := stream.readline().decode().strip()) or not lines:
                lines += [line] if line and not line.startswith(":") else []
            return json.loads(next(line for line in lines if line.startswith("data: "))[6:])

        acknowledged = next_message()
        self.assertEqual(acknowledged["method"], "notifications/subscriptions/acknowledged")
        self.assertEqual(
            acknowledged["params"]["notifications"], {"resourcesListChanged": True, "resourceSubscriptions": uris}
        )
        self.vault.ask("PATCH", f"api/notes/{other['id']}", {"content": "two"})
        self.vault.ask("PATCH", f"api/notes/{note['id']}", {"content": "two"})
        messages = [next_message() for _ in range(2)]
        self.assertEqual([message["method"] for message in messages], ["notifications/resources/updated"] * 2)
        self.assertEqual([message["params"]["uri"] for message in messages], uris)
        self.vault.ask("POST", "api/notes", {"content": "new"})
        listed = next_message()
        self.assertEqual(listed["method"], "notifications/resources/list_changed")
        for message in (acknowledged, *messages, listed):
            self.assertEqual(message["params"]["_meta"], {f"{PREFIX}/subscriptionId": 5})
        self.vault.process.terminate()
        self.assertEqual(next_message()["result"]["resultType"], "complete")
