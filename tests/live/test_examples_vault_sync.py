"""Several devices on one vault: live events, catching up, repeated requests, conflicts."""

import json
from collections import deque
from typing import Any
from urllib.parse import quote

import treq
from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers

from tests.live.test_examples_vault import NOTES, VaultTestCase
from tests.support.examples import Module, Reply

EVENTS = "/vault/default/api/events"


@define
class Event:
    """One server-sent event."""

    name: str
    id: int | None
    data: Any


@define(eq=False)
class Listener(Protocol):
    """Reads an event stream."""

    events: deque[Event] = field(factory=deque)
    ended: "Deferred[None]" = field(factory=Deferred)
    _waiting: "Deferred[Event] | None" = None
    _rest: str = ""

    async def open(self, module: Module, token: str, query: str = "", **headers: str) -> "Listener":
        url = f"http://127.0.0.1:{module.port}{EVENTS}?{query}"
        sent = Headers({name: [value] for name, value in {"Authorization": f"Bearer {token}", **headers}.items()})
        response = await treq.get(url, headers=sent, persistent=False, unbuffered=True)
        assert response.code == 200, response.code
        assert response.headers.getRawHeaders("content-type") == ["text/event-stream"]
        response.deliverBody(self)
        return self

    async def next(self) -> Event:
        """The next event, now or later."""
        if not self.events:
            self._waiting = Deferred()
            await self._waiting
        return self.events.popleft()

    def close(self) -> "Deferred[None]":
        """Disconnect, as a browser does."""
        if not self.ended.called:
            assert self.transport is not None
            self.transport.loseConnection()
        return self.ended

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The stream ended."""
        self.ended.callback(None)

    def dataReceived(self, data: bytes) -> None:
        """Collect complete events, without comments."""
        *whole, self._rest = (self._rest + data.decode()).split("\n\n")
        for text in whole:
            if text.startswith(":"):
                continue
            lines = dict(line.split(": ", 1) for line in text.split("\n"))
            number = int(lines["id"]) if "id" in lines else None
            self.events.append(Event(lines["event"], number, json.loads(lines["data"])))
        if self._waiting is not None and self.events:
            waiting, self._waiting = self._waiting, None
            waiting.callback(self.events[0])


class DevicesTestCase(VaultTestCase):
    """Two devices of one vault."""

    timeout = 20

    async def follow(self, vault: Module, query: str = "", **headers: str) -> Listener:
        listener = await Listener().open(vault, self.key, query, **headers)
        self.addCleanup(listener.close)
        hello = await listener.next()
        self.assertEqual((hello.name, hello.id), ("hello", None))
        return listener

    async def ask(self, vault: Module, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await vault.ask(method, f"/vault/default/api/{path}", token=self.key, body=body, headers=named)


class EventsTests(DevicesTestCase):
    """Devices see each other's changes."""

    async def test_a_change_arrives_on_another_device(self) -> None:
        vault = await self.vault()
        listener = await self.follow(vault, "include_content=true")
        note = (await self.ask(vault, "POST", "notes", {"content": "from a phone"})).json()
        event = await listener.next()
        self.assertEqual((event.name, event.data["kind"], event.data["note"]), ("change", "saved", note))
        self.assertEqual(event.id, event.data["number"])
        await self.ask(vault, "PATCH", f"notes/{note['id']}", {"pinned": True})
        self.assertTrue((await listener.next()).data["note"]["pinned"])
        await self.ask(vault, "DELETE", f"notes/{note['id']}")
        self.assertEqual((await listener.next()).data["kind"], "deleted")
        await self.ask(vault, "POST", f"trash/{note['id']}/restore")
        self.assertEqual((await listener.next()).data["kind"], "saved")

    async def test_a_stream_goes_on_after_the_last_event(self) -> None:
        vault = await self.vault()
        first = await self.follow(vault)
        for content in ("one", "two", "three"):
            await self.ask(vault, "POST", "notes", {"content": content})
        seen = await first.next()
        await first.close()
        again = await self.follow(vault, "since=0&include_content=true", **{"Last-Event-ID": str(seen.id)})
        contents = [(await again.next()).data["note"]["content"] for _ in range(2)]
        self.assertEqual(contents, ["two", "three"])
        at = f"since={seen.id}&epoch={seen.data['epoch']}"
        self.assertEqual((await (await self.follow(vault, at)).next()).name, "change")
        for unknown in (f"since={seen.id}&epoch=another", "since=999"):
            stranger = await self.follow(vault, unknown)
            reset = await stranger.next()
            self.assertEqual((reset.name, reset.data), ("reset", {"latest": 3, "reason": "replaced"}), unknown)
        await self.ask(vault, "POST", "notes", {"content": "four"})
        self.assertEqual((await stranger.next()).data["number"], 4)

    async def test_what_another_process_writes_arrives_too(self) -> None:
        vault = await self.vault()
        listener = await self.follow(vault)
        path = self.home / "notes.json"
        path.write_text(json.dumps([{"content": "imported", "path": "in"}]))
        code, output = await self.command("import", "default", str(path))
        self.assertEqual((code, json.loads(output)["created"]), (0, 1))
        self.assertEqual((await listener.next()).data["note"]["path"], "in")

    async def test_a_vault_that_stops_says_so_and_waits_for_nobody(self) -> None:
        vault = await self.vault()
        listener = await self.follow(vault)
        self.assertEqual(await vault.process.signal("TERM"), 0)
        bye = await listener.next()
        self.assertEqual((bye.name, bye.data), ("bye", {"reason": "stopping"}))
        await listener.ended

    async def test_streams_need_the_right_to_read_and_are_few(self) -> None:
        vault = await self.vault()
        self.assertEqual((await vault.ask("GET", EVENTS)).status, 401)
        for _ in range(32):
            await self.follow(vault)
        refused = await vault.ask("GET", EVENTS, token=self.key)
        self.assertEqual((refused.status, refused.json()["code"], refused.headers["retry-after"]), (503, "busy", "30"))

    async def test_a_device_that_slept_catches_up_page_by_page(self) -> None:
        vault = await self.vault()
        ids = [(await self.ask(vault, "POST", "notes", {"content": f"{n}"})).json()["id"] for n in range(7)]
        await self.ask(vault, "DELETE", f"notes/{ids[0]}")
        await self.ask(vault, "PATCH", f"notes/{ids[1]}", {"content": "changed"})
        since, found = 0, []
        while True:
            page = (await self.ask(vault, "GET", f"changes?since={since}&limit=3&include_content=true")).json()
            found += [
                (change["id"], change["kind"], change.get("note", {}).get("content")) for change in page["changes"]
            ]
            since = page["next"]
            if not page["more"]:
                break
        expected = [(ids[n], "saved", f"{n}") for n in range(2, 7)]
        self.assertEqual(found, [*expected, (ids[0], "deleted", None), (ids[1], "saved", "changed")])
        self.assertEqual(since, page["latest"])
        for bad in ("since=-1", "since=x", "limit=0", "limit=501"):
            self.assertEqual((await self.ask(vault, "GET", f"changes?{bad}")).status, 400, bad)


class OutboxTests(DevicesTestCase):
    """What a device sends again after a lost response."""

    async def test_a_repeated_create_writes_once(self) -> None:
        vault = await self.vault()
        body = {"id": "11111111-2222-4333-8444-555555555555", "content": "mine", "tags": ["t"]}
        replies = [await self.ask(vault, "POST", "notes", body) for _ in range(3)]
        self.assertEqual([reply.status for reply in replies], [201, 200, 200])
        self.assertEqual(len({reply.body for reply in replies}), 1)
        keyed = [await self.ask(vault, "POST", "notes", {"content": "k"}, Idempotency_Key="a b") for _ in range(2)]
        self.assertEqual([(reply.status, reply.json()["id"]) for reply in keyed[1:]], [(200, keyed[0].json()["id"])])
        other = await self.ask(vault, "POST", "notes", {**body, "content": "other"})
        self.assertEqual((other.status, other.json()["code"]), (409, "id_taken"))
        self.assertEqual(other.json()["current"], replies[0].json())
        await self.ask(vault, "DELETE", f"notes/{body['id']}")
        gone = await self.ask(vault, "POST", "notes", body)
        self.assertEqual((gone.status, gone.json()["code"]), (409, "in_trash"))
        self.assertIn("deletedAt", gone.json())
        for bad in ("short", "x" * 65, "../../../etc", "spaces in it"):
            self.assertEqual((await self.ask(vault, "POST", "notes", {"id": bad})).status, 400, bad)

    async def test_a_change_of_an_older_version_is_answered_with_the_note(self) -> None:
        vault = await self.vault()
        old = (await self.ask(vault, "POST", "notes", {"content": "one"})).json()
        url = f"notes/{old['id']}"
        new = (await self.ask(vault, "PATCH", url, {"content": "two", "if_updated_at": old["updatedAt"]})).json()
        self.assertEqual((await self.ask(vault, "GET", url)).headers["etag"], f'"{new["updatedAt"]}"')
        stale = old["updatedAt"]
        table: list[tuple[str, int, str, str, Any, dict[str, str]]] = [
            ("field", 409, "PATCH", url, {"content": "x", "if_updated_at": stale}, {}),
            ("header", 409, "PATCH", url, {"content": "x"}, {"If_Updated_At": stale}),
            ("If-Match", 412, "PATCH", url, {"content": "x"}, {"If_Match": f'"{stale}"'}),
            ("delete", 409, "DELETE", f"{url}?if_updated_at={stale}", None, {}),
            ("delete with If-Match", 412, "DELETE", url, None, {"If_Match": f'"{stale}"'}),
        ]
        for name, status, method, path, body, headers in table:
            refused = await self.ask(vault, method, path, body, **headers)
            self.assertEqual((name, refused.status, refused.json()["code"]), (name, status, "changed"))
            self.assertEqual(refused.json()["current"], new, name)
        bad = await self.ask(vault, "PATCH", url, {"content": "x"}, If_Match="W/nonsense")
        self.assertEqual(bad.status, 400)
        repeated = await self.ask(vault, "PATCH", url, {"content": "two", "if_updated_at": stale})
        self.assertEqual((repeated.status, repeated.json()), (200, new))
        self.assertEqual((await self.ask(vault, "PATCH", url, {"content": "x"}, If_Match="*")).status, 200)

    async def test_a_change_of_a_deleted_note_says_that_it_is_in_the_trash(self) -> None:
        vault = await self.vault()
        note = (await self.ask(vault, "POST", "notes", {"content": "mine", "path": "a/b"})).json()
        url = f"notes/{note['id']}"
        await self.ask(vault, "DELETE", f"notes/{quote('a/b', safe='')}")
        for method in ("GET", "PATCH", "DELETE"):
            reply = await self.ask(vault, method, url, {} if method == "PATCH" else None)
            self.assertEqual((method, reply.status, reply.json()["code"]), (method, 404, "in_trash"))
        (trashed,) = (await self.ask(vault, "GET", "trash?search=MINE")).json()
        self.assertEqual((trashed["content"], trashed["purgeAt"] > trashed["deletedAt"]), ("mine", True))
        restored = await self.ask(vault, "POST", f"trash/{note['id']}/restore")
        self.assertEqual((restored.status, restored.json()), (200, note))
        await self.ask(vault, "DELETE", url)
        purged = await self.ask(vault, "DELETE", f"trash/{note['id']}")
        self.assertEqual(purged.json(), {"purged": True, "id": note["id"]})
        self.assertEqual((await self.ask(vault, "GET", url)).json()["code"], "not_found")
        self.assertEqual((await self.ask(vault, "DELETE", f"trash/{note['id']}")).status, 404)
        self.assertEqual((await self.ask(vault, "DELETE", "trash")).json(), {"purged": 0})


class HistoryTests(DevicesTestCase):
    """Versions, links and lists over HTTP."""

    async def test_a_version_is_listed_read_and_restored(self) -> None:
        vault = await self.vault()
        note = (await self.ask(vault, "POST", "notes", {"content": "one", "path": "p/q"})).json()
        await self.ask(vault, "PATCH", f"notes/{note['id']}", {"content": "two"})
        for key in (note["id"], "p%2Fq", "p/q"):
            (version,) = (await self.ask(vault, "GET", f"notes/{key}/versions")).json()
            self.assertEqual(version["updatedAt"], note["updatedAt"], key)
        url = f"notes/{note['id']}/versions/{version['version']}"
        self.assertEqual((await self.ask(vault, "GET", url)).json()["content"], "one")
        stale = await self.ask(vault, "POST", f"{url}/restore", {"if_updated_at": note["updatedAt"]})
        self.assertEqual((stale.status, stale.json()["current"]["content"]), (409, "two"))
        restored = await self.ask(vault, "POST", f"{url}/restore")
        self.assertEqual((restored.status, restored.json()["content"]), (200, "one"))
        self.assertEqual(len((await self.ask(vault, "GET", f"notes/{note['id']}/versions")).json()), 2)
        for path in ("versions/99", "versions/x", f"versions/{version['version']}/explode"):
            self.assertEqual((await self.ask(vault, "GET", f"notes/{note['id']}/{path}")).status, 404, path)
        await self.ask(vault, "DELETE", f"notes/{note['id']}")
        self.assertEqual(len((await self.ask(vault, "GET", f"notes/{note['id']}/versions")).json()), 2)

    async def test_a_path_may_end_like_a_resource_below_a_note(self) -> None:
        vault = await self.vault()
        for path in ("my/versions", "links", "a/backlinks/b"):
            note = (await self.ask(vault, "POST", "notes", {"content": path, "path": path})).json()
            self.assertEqual((await self.ask(vault, "GET", f"notes/{path}")).json(), note)
            changed = await self.ask(vault, "PATCH", f"notes/{path}", {"content": "changed"})
            self.assertEqual(changed.json()["content"], "changed", path)
            self.assertEqual(len((await self.ask(vault, "GET", f"notes/{path}/versions")).json()), 1, path)
        self.assertEqual((await self.ask(vault, "POST", "notes/my/versions", {})).status, 405)

    async def test_links_are_followed_completed_and_moved(self) -> None:
        vault = await self.vault()
        target = (await self.ask(vault, "POST", "notes", {"content": "", "path": "Projects/Garden"})).json()
        source = (await self.ask(vault, "POST", "notes", {"content": "# Day\nsee [[garden|it]], [[nowhere]]"})).json()
        links = (await self.ask(vault, "GET", f"notes/{source['id']}/links")).json()
        self.assertEqual(
            [(link["target"], link["id"]) for link in links], [("garden", target["id"]), ("nowhere", None)]
        )
        (back,) = (await self.ask(vault, "GET", f"notes/{target['id']}/backlinks")).json()
        self.assertEqual(
            (back["id"], back["title"], back["lines"]), (source["id"], "Day", ["see [[garden|it]], [[nowhere]]"])
        )
        (completed,) = (await self.ask(vault, "GET", "links/complete?prefix=gar")).json()
        self.assertEqual((completed["id"], completed["insert"]), (target["id"], "Garden"))
        renamed = (await self.ask(vault, "PATCH", f"notes/{target['id']}", {"path": "Projects/Yard"})).json()
        self.assertEqual(renamed["relinked"], 1)
        moved = (await self.ask(vault, "GET", f"notes/{source['id']}")).json()
        self.assertEqual(moved["content"], "# Day\nsee [[Yard|it]], [[nowhere]]")
        resolved = (await self.ask(vault, "GET", "links/resolve?target=yard")).json()
        self.assertEqual(resolved, {"target": "yard", "id": target["id"], "title": "Projects/Yard"})
        self.assertEqual((await self.ask(vault, "POST", "links/resolve", {})).status, 405)

    async def test_lists_have_a_next_page_a_count_and_previews(self) -> None:
        vault = await self.vault()
        for number in range(5):
            await self.ask(vault, "POST", "notes", {"content": f"# Note {number}\nwords", "pinned": number == 0})
        first = await self.ask(vault, "GET", "notes?search=words&limit=2&count=true&preview=true&pinned_first=true")
        self.assertEqual(first.headers["x-total-count"], "5")
        self.assertEqual([note["title"] for note in first.json()], ["Note 0", "Note 4"])
        self.assertIn('offset=2>; rel="next"', first.headers["link"])
        last = await self.ask(vault, "GET", "notes?limit=2&offset=3")
        self.assertNotIn("link", last.headers)
        for bad in ("sort=odd", "order=up", "pinned=perhaps", "preview=2"):
            self.assertEqual((await self.ask(vault, "GET", f"notes?{bad}")).status, 400, bad)
        self.assertEqual((await vault.ask("GET", f"{NOTES}?tag=a&all_tags=true", token=self.key)).json(), [])
