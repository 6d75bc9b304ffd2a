"""The reference vault as a process: REST, MCP, keys, persistence, registration."""

import json
import os
import stat
from typing import Any

from tests.support import examples
from tests.support.examples import ExampleTestCase, Module, Reply

NOTES = "/vault/default/api/notes"


class VaultTestCase(ExampleTestCase):
    """A running vault and its first key."""

    async def vault(self, **env: str) -> Module:
        module = await self.serve("vault/src/cli.ts", "serve", **env)
        self.key = (self.home / "vault/data/default/initial-key").read_text().strip()
        return module

    async def command(self, *argv: str) -> tuple[int | None, str]:
        """Exit code and output of `parachute-vault` with these arguments."""
        process = examples.start(self.reactor, ["vault/src/cli.ts", *argv], home=self.home)
        process.port.addErrback(lambda _never_listened: None)
        return await process.ended, process.output

    def row(self) -> dict[str, Any]:
        services = json.loads((self.home / "services.json").read_text())["services"]
        (row,) = [row for row in services if row["name"] == "parachute-vault"]
        return dict(row)


class NotesTests(VaultTestCase):
    """Notes over REST."""

    async def write(self, vault: Module, **note: Any) -> dict[str, Any]:
        reply = await vault.ask("POST", NOTES, token=self.key, body=note)
        self.assertEqual(reply.status, 201, reply.body)
        return dict(reply.json())

    async def test_a_note_has_the_shape_of_the_published_vault(self) -> None:
        vault = await self.vault()
        note = await self.write(vault, path="a/hello", content="# Hello", tags=["#greeting"], metadata={"k": "v"})
        self.assertRegex(note["id"], r"^\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d-\d{6}$")
        self.assertRegex(note["createdAt"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        same = {"content": "# Hello", "path": "a/hello", "metadata": {"k": "v"}, "tags": ["greeting"]}
        times = {name: note[name] for name in ("id", "createdAt", "updatedAt")}
        self.assertEqual(note, {**same, **times})
        for key in (note["id"], "a%2Fhello", "a/hello"):
            self.assertEqual((await vault.ask("GET", f"{NOTES}/{key}", token=self.key)).json(), note)
        bare = await self.write(vault, content="x")
        self.assertEqual(sorted(bare), ["content", "createdAt", "id", "tags", "updatedAt"])

    async def test_lists_by_tag_word_prefix_and_page(self) -> None:
        vault = await self.vault()
        for number in range(5):
            tags = ["even"] if number % 2 == 0 else ["odd"]
            await self.write(vault, path=f"n/{number}", content=f"Größe number{number} it's", tags=tags)

        async def paths(query: str) -> list[str]:
            reply = await vault.ask("GET", f"{NOTES}?{query}", token=self.key)
            self.assertEqual(reply.status, 200, reply.body)
            return [note["path"] for note in reply.json()]

        self.assertEqual(await paths(""), ["n/4", "n/3", "n/2", "n/1", "n/0"])
        self.assertEqual(await paths("tag=odd"), ["n/3", "n/1"])
        self.assertEqual(await paths("tag=odd&tag=even&limit=2&offset=1"), ["n/3", "n/2"])
        self.assertEqual(await paths("search=grosse+number3"), [])
        self.assertEqual(await paths("search=gr%C3%B6%C3%9Fe+number3"), ["n/3"])
        self.assertEqual(await paths("search=numb&tag=even&path_prefix=n/2"), ["n/2"])
        self.assertEqual(await paths("search=it's"), ["n/4", "n/3", "n/2", "n/1", "n/0"])
        self.assertEqual(await paths("search=%22%22*+AND+(-"), [])
        (whole,) = (await vault.ask("GET", f"{NOTES}?search=number3&include_content=true", token=self.key)).json()
        self.assertEqual(whole["content"], "Größe number3 it's")
        self.assertNotIn("content", (await vault.ask("GET", NOTES, token=self.key)).json()[0])
        tags = (await vault.ask("GET", "/vault/default/api/tags", token=self.key)).json()
        self.assertEqual(tags, [{"name": "even", "count": 3}, {"name": "odd", "count": 2}])

    async def test_a_change_touches_what_it_names(self) -> None:
        vault = await self.vault()
        note = await self.write(vault, path="p", content="old words", tags=["a", "b"], metadata={"k": 1, "l": 2})
        url = f"{NOTES}/{note['id']}"
        change = {"content": "fresh", "tags": {"add": ["c"], "remove": ["a"]}, "metadata": {"k": None, "m": 3}}
        after = (await vault.ask("PATCH", url, token=self.key, body=change)).json()
        self.assertEqual(
            (after["path"], after["content"], after["tags"], after["metadata"]),
            ("p", "fresh", ["b", "c"], {"l": 2, "m": 3}),
        )
        self.assertGreater(after["updatedAt"], note["updatedAt"])
        self.assertEqual((await vault.ask("GET", f"{NOTES}?search=old", token=self.key)).json(), [])
        stale = {"content": "lost?", "if_updated_at": note["updatedAt"]}
        conflict = await vault.ask("PATCH", url, token=self.key, body=stale)
        self.assertEqual((conflict.status, conflict.json()["current"]["content"]), (409, "fresh"))
        moved = await vault.ask("PATCH", url, token=self.key, body={"path": None, "tags": []})
        self.assertEqual((moved.json().get("path"), moved.json()["tags"]), (None, []))
        gone = await vault.ask("DELETE", url, token=self.key)
        self.assertEqual((gone.status, gone.json()), (200, {"deleted": True, "id": note["id"]}))
        for method in ("GET", "DELETE", "PATCH"):
            self.assertEqual((await vault.ask(method, url, token=self.key, body={})).status, 404)

    async def test_bad_input_is_refused_and_changes_nothing(self) -> None:
        vault = await self.vault()
        await self.write(vault, path="taken", content="")
        bad: list[bytes] = [
            b"", b"{", b"[]", b"\xff", b'{"content": 1}', b'{"path": ""}', b'{"path": "a\\u0000b"}',
            b'{"tags": "x"}', b'{"tags": ["two words"]}', b'{"metadata": []}',
        ]  # fmt: skip
        for data in bad:
            reply = await vault.ask("POST", NOTES, token=self.key, data=data)
            self.assertEqual((data, reply.status), (data, 400))
            self.assertEqual(sorted(reply.json()), ["error", "message"])
        self.assertEqual((await vault.ask("POST", NOTES, token=self.key, body={"path": "taken"})).status, 409)
        for query in ("limit=0", "limit=501", "limit=x", "offset=-1"):
            self.assertEqual((await vault.ask("GET", f"{NOTES}?{query}", token=self.key)).status, 400, query)
        self.assertEqual((await vault.ask("GET", f"{NOTES}/%zz", token=self.key)).status, 400)
        big = await vault.ask("POST", NOTES, token=self.key, data=b"x" * (9 << 20))
        self.assertEqual(big.status, 413)
        put = await vault.ask("PUT", NOTES, token=self.key, body={})
        self.assertEqual((put.status, put.headers["allow"]), (405, "GET, HEAD, POST"))
        self.assertEqual(len((await vault.ask("GET", NOTES, token=self.key)).json()), 1)

    async def test_notes_survive_term_and_kill(self) -> None:
        first = await self.vault()
        await self.write(first, path="one", content="1")
        self.assertEqual(await first.process.signal("TERM"), 0)
        second = await self.vault()
        self.assertNotIn("pvt_", second.process.output)
        await self.write(second, path="two", content="2")
        self.assertIsNone(await second.process.signal("KILL"))
        third = await self.vault()
        paths = [note["path"] for note in (await third.ask("GET", NOTES, token=self.key)).json()]
        self.assertEqual(paths, ["two", "one"])


class KeysTests(VaultTestCase):
    """The vault's own keys, and what needs none."""

    async def test_every_way_to_send_a_key(self) -> None:
        vault = await self.vault()
        ways: list[Reply] = [
            await vault.ask("GET", NOTES, token=self.key),
            await vault.ask("GET", NOTES, headers={"X-API-Key": self.key}),
            await vault.ask("GET", f"{NOTES}?key={self.key}"),
        ]
        self.assertEqual([reply.status for reply in ways], [200, 200, 200])
        self.assertIn("its first key lies there in initial-key", vault.process.output)
        self.assertNotIn(self.key, vault.process.output)
        self.assertNotIn(self.key.encode(), (self.home / "vault/data/default/vault.db").read_bytes())

    async def test_without_a_key_only_the_public_parts_answer(self) -> None:
        vault = await self.vault()
        refusal = {"error": "Unauthorized", "message": "API key required"}
        for path in ("", "/health", "/api/notes", "/api/tags", "/.parachute/config", "/api/nothing"):
            reply = await vault.ask("GET", f"/vault/default{path}")
            self.assertEqual((path, reply.status, reply.json()), (path, 401, refusal))
            self.assertNotIn("www-authenticate", reply.headers)
        self.assertEqual((await vault.ask("GET", NOTES, token="pvt_wrong")).status, 401)
        self.assertEqual((await vault.ask("GET", "/vault/other/api/notes")).json()["error"], "Vault not found")
        self.assertEqual((await vault.ask("GET", "/health")).json(), {"status": "ok"})
        self.assertEqual((await vault.ask("GET", "/vaults/list")).json(), {"vaults": ["default"]})
        for prefix in ("", "/vault/default"):
            info = (await vault.ask("GET", f"{prefix}/.parachute/info")).json()
            self.assertEqual((info["name"], info["kind"]), ("parachute-vault", "api"))
            schema = await vault.ask("GET", f"{prefix}/.parachute/config/schema")
            self.assertEqual(schema.json()["type"], "object")
        icon = await vault.ask("GET", "/vault/default/.parachute/icon.svg")
        self.assertEqual(icon.headers["content-type"], "image/svg+xml")
        preflight = await vault.ask("OPTIONS", NOTES)
        self.assertEqual((preflight.status, preflight.headers["access-control-allow-origin"]), (204, "*"))

    async def test_configuration_is_shown_to_admins_and_never_written(self) -> None:
        vault = await self.vault(SCRIBE_URL="http://127.0.0.1:9")
        url = "/vault/default/.parachute/config"
        shown = await vault.ask("GET", url, token=self.key)
        self.assertEqual(shown.json(), {"scribe_url": "http://127.0.0.1:9", "port": vault.port})
        self.assertEqual((await vault.ask("PUT", url, token=self.key, body={})).status, 405)

    async def test_a_second_vault_is_made_by_the_command_while_the_first_runs(self) -> None:
        vault = await self.vault()
        code, output = await self.command("create", "work", "--json")
        made = json.loads(output)
        self.assertEqual((code, sorted(made), sorted(made["paths"])),
                         (0, ["name", "paths", "token"], ["vault_config", "vault_db", "vault_dir"]))  # fmt: skip
        for path in made["paths"].values():
            self.assertEqual(os.stat(path).st_mode & 0o077, 0, path)
        written = await vault.ask("POST", "/vault/work/api/notes", token=made["token"], body={"content": "w"})
        self.assertEqual(written.status, 201)
        self.assertEqual((await vault.ask("GET", "/vault/work/api/notes", token=self.key)).status, 401)
        self.assertEqual(self.row()["paths"], ["/vault/default", "/vault/work"])
        self.assertEqual((await self.command("create", "work"))[0], 2)
        for name in ("x", "UP", "list", "../up", "-rf", "a" * 33):
            code, output = await self.command("create", "--", name)
            self.assertEqual((name, code), (name, 2), output)
        self.assertEqual((await vault.ask("GET", "/vaults/list")).json(), {"vaults": ["default", "work"]})

    async def test_the_first_vault_may_have_another_name(self) -> None:
        await self.serve("vault/src/cli.ts", "serve", PARACHUTE_VAULT_NAME="family")
        self.assertEqual(self.row()["paths"], ["/vault/family"])
        mode = (self.home / "vault/data/family/initial-key").stat().st_mode
        self.assertEqual(stat.S_IMODE(mode), 0o600)


class RegistrationTests(VaultTestCase):
    """The row in services.json."""

    async def test_rows_and_fields_of_others_stay(self) -> None:
        path = self.home / "services.json"
        other = {"name": "someone", "port": 0, "odd": [1]}
        ours = {"name": "parachute-vault", "port": 4444, "installDir": "/there", "paths": [], "spawn": {"x": 1}}
        path.write_text(json.dumps({"services": [other, ours], "root": True}))
        path.chmod(0o644)
        await self.vault()
        document = json.loads(path.read_text())
        row = document["services"][1]
        self.assertEqual((document["root"], document["services"][0]), (True, other))
        self.assertEqual((row["port"], row["installDir"], row["spawn"]), (4444, "/there", {"x": 1}))
        self.assertEqual((row["paths"], row["health"]), (["/vault/default"], "/health"))
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o644)
        self.assertEqual([name for name in os.listdir(self.home) if ".tmp-" in name], [])

    async def test_a_damaged_file_is_left_alone_and_the_vault_serves(self) -> None:
        (self.home / "services.json").write_text('{"services": [')
        vault = await self.vault()
        self.assertEqual((self.home / "services.json").read_text(), '{"services": [')
        self.assertEqual((await vault.ask("GET", "/health")).status, 200)
        while "services.json was left alone" not in vault.process.output:
            await self.pause()

    timeout = 20  # Seconds, of which it needs less than two.

    async def test_two_modules_that_start_together_are_both_registered(self) -> None:
        vault = examples.start(self.reactor, ["vault/src/cli.ts", "serve"], home=self.home)
        scribe = examples.start(self.reactor, ["scribe/src/cli.ts", "serve"], home=self.home)
        for process in (vault, scribe):
            self.addCleanup(process.signal, "KILL")
            await process.port
        names: set[str] = set()
        while names != {"parachute-vault", "parachute-scribe"}:
            await self.pause()
            names = {row["name"] for row in json.loads((self.home / "services.json").read_text())["services"]}


class HealthTests(VaultTestCase):
    """/health checks the database, not only the process."""

    async def test_a_removed_database_is_noticed(self) -> None:
        vault = await self.vault()
        await vault.ask("GET", NOTES, token=self.key)
        (self.home / "vault/data/default/vault.db").unlink()
        reply = await vault.ask("GET", "/health")
        self.assertEqual((reply.status, reply.json()["status"]), (503, "error"))


class McpTests(VaultTestCase):
    """MCP over streamable HTTP."""

    URL = "/vault/default/mcp"

    async def call(self, vault: Module, method: str, params: Any = None, **more: Any) -> Any:
        body = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params or {}}
        reply = await vault.ask("POST", self.URL, token=self.key, body=body, **more)
        self.assertEqual((reply.status, reply.json()["id"]), (200, 7))
        return reply.json()

    async def tool(self, vault: Module, name: str, **values: Any) -> Any:
        result = (await self.call(vault, "tools/call", {"name": name, "arguments": values}))["result"]
        self.assertNotIn("isError", result, result)
        return json.loads(result["content"][0]["text"])

    async def test_a_session_from_initialize_to_delete(self) -> None:
        vault = await self.vault()
        greeting = (await self.call(vault, "initialize", {"protocolVersion": "2025-06-18"}))["result"]
        self.assertEqual(greeting["protocolVersion"], "2025-06-18")
        self.assertEqual(greeting["serverInfo"]["name"], "parachute-vault/default")
        newest = (await self.call(vault, "initialize", {"protocolVersion": "1999-01-01"}))["result"]
        self.assertEqual(newest["protocolVersion"], "2025-11-25")
        started = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        noted = await vault.ask("POST", self.URL, token=self.key, body=started)
        self.assertEqual((noted.status, noted.body), (202, b""))
        self.assertEqual((await self.call(vault, "ping"))["result"], {})
        tools = (await self.call(vault, "tools/list"))["result"]["tools"]
        names = {tool["name"] for tool in tools}
        published = {"create-note", "query-notes", "update-note", "delete-note", "list-tags", "vault-info"}
        self.assertEqual(names, published | {"note-history", "related-notes", "restore-note"})
        note = await self.tool(vault, "create-note", content="by mcp", path="m/1", tags=["t"])
        await self.tool(vault, "update-note", id="m/1", content="better")
        self.assertEqual((await self.tool(vault, "query-notes", id=note["id"]))["content"], "better")
        listed = await self.tool(vault, "query-notes", tag="t", include_content=True)
        self.assertEqual([each["content"] for each in listed], ["better"])
        self.assertEqual(await self.tool(vault, "list-tags"), [{"name": "t", "count": 1}])
        self.assertEqual((await self.tool(vault, "vault-info"))["stats"]["totalNotes"], 1)
        await self.tool(vault, "delete-note", id="m/1")
        self.assertEqual(await self.tool(vault, "query-notes"), [])

    async def test_mistakes_are_answered_in_json_rpc(self) -> None:
        vault = await self.vault()
        self.assertEqual((await self.call(vault, "nothing"))["error"]["code"], -32601)
        self.assertEqual((await self.call(vault, "tools/call", {"name": "no"}))["error"]["code"], -32602)
        missing = (await self.call(vault, "tools/call", {"name": "delete-note", "arguments": {"id": "x"}}))["result"]
        self.assertEqual((missing["isError"], missing["content"][0]["text"]), (True, 'There is no note "x".'))
        for data, code in ((b"{", -32700), (b"[]", -32600), (b'{"jsonrpc":"1.0","method":"ping","id":1}', -32600)):
            reply = await vault.ask("POST", self.URL, token=self.key, data=data)
            self.assertEqual((data, reply.status, reply.json()["error"]["code"]), (data, 400, code))
        old = {"MCP-Protocol-Version": "1999-01-01"}
        self.assertEqual((await vault.ask("POST", self.URL, token=self.key, body={}, headers=old)).status, 400)
        stream = await vault.ask("GET", self.URL, token=self.key)
        self.assertEqual((stream.status, stream.headers["allow"]), (405, "POST"))

    async def test_a_stranger_is_told_where_to_get_a_token(self) -> None:
        vault = await self.vault(PARACHUTE_HUB_ORIGIN="https://hub.test")
        forwarded = {"X-Forwarded-Host": "hub.test", "X-Forwarded-Proto": "https"}
        reply = await vault.ask("POST", self.URL, body={}, headers=forwarded)
        metadata = "https://hub.test/vault/default/.well-known/oauth-protected-resource"
        self.assertEqual(reply.status, 401)
        self.assertEqual(reply.headers["www-authenticate"], f'Bearer resource_metadata="{metadata}"')
        self.assertEqual((await vault.ask("GET", self.URL, headers=forwarded)).status, 401)
        for path in (
            "/vault/default/.well-known/oauth-protected-resource",
            "/.well-known/oauth-protected-resource/vault/default",
            "/.well-known/oauth-protected-resource/vault/default/mcp",
        ):
            document = (await vault.ask("GET", path, headers=forwarded)).json()
            self.assertEqual(document["resource"], "https://hub.test/vault/default/mcp")
            self.assertEqual(document["authorization_servers"], ["https://hub.test"])
            self.assertEqual(document["scopes_supported"], ["vault:default:read", "vault:default:write"])
        spoiled = {"X-Forwarded-Host": 'evil"quote'}
        challenge = (await vault.ask("POST", self.URL, body={}, headers=spoiled)).headers["www-authenticate"]
        self.assertTrue(challenge.startswith(f'Bearer resource_metadata="http://127.0.0.1:{vault.port}/'), challenge)
