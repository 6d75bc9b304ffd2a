"""The reference notes app in Chromium, with the reference vault and scribe behind a stand-in for the hub."""

import io
import json
import wave
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlencode

from playwright.sync_api import Page, expect, sync_playwright
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.internet.utils import getProcessOutputAndValue
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from twisted.web.static import File

from tests.browser.browser import CHROMIUM
from tests.requirements import program, requires
from tests.support.examples import EXAMPLES, ExampleTestCase, Module, TokenIssuer, bun

SECRET = "s3cret-of-the-hub"
WAIT = 8_000  # Milliseconds a page may take for one step.


def hello_wav() -> bytes:
    """A tenth of a second of silence; the stand-in speech program does not listen."""
    out = io.BytesIO()
    with wave.open(out, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(1600))
    return out.getvalue()


class Shell(Resource):
    """dist/ as the hub serves it: unknown paths get the app."""

    isLeaf = True

    def render_GET(self, request: Any) -> Any:
        dist = EXAMPLES / "notes/dist"
        path = dist.joinpath(*(part.decode() for part in request.postpath))
        return File(str(path if path.is_file() else dist / "index.html")).render_GET(request)


class Forward(Resource):
    """Passes requests to a module unchanged, except for `strip` at the start of the path."""

    isLeaf = True

    def __init__(self, module: Module, strip: str = "") -> None:
        super().__init__()
        self.module, self.strip = module, strip

    def render(self, request: Any) -> int:
        Deferred.fromCoroutine(self.pass_on(request)).addErrback(request.processingFailed)
        return NOT_DONE_YET

    async def pass_on(self, request: Any) -> None:
        gone: list[Failure] = []
        request.notifyFinish().addErrback(gone.append)
        names = ("authorization", "content-type")
        headers = {name: request.getHeader(name) for name in names if request.getHeader(name)}
        reply = await self.module.ask(
            request.method.decode(),
            request.uri.decode().removeprefix(self.strip),
            headers=headers,
            data=request.content.read(),
        )
        if gone:
            return  # A browser that goes offline hangs up.
        request.setResponseCode(reply.status)
        request.setHeader("content-type", reply.headers.get("content-type", "text/plain"))
        request.write(reply.body)
        request.finish()


class OAuth(Resource):
    """An authorization server that always consents, and counts."""

    isLeaf = True

    def __init__(self, issuer: TokenIssuer) -> None:
        super().__init__()
        self.issuer = issuer
        self.renewals = 0
        self.asked: dict[str, str] = {}
        self.ended = False

    def render(self, request: Any) -> bytes:
        answer: Callable[[Any], bytes] = getattr(self, f"_{request.path.decode().rpartition('/')[2]}")
        return answer(request)

    def _register(self, request: Any) -> bytes:
        request.setResponseCode(201)
        return json.dumps({"client_id": "client-1"}).encode()

    def _authorize(self, request: Any) -> bytes:
        self.asked = {name.decode(): values[0].decode() for name, values in request.args.items()}
        answer = {"code": "code-1", "state": self.asked["state"], "iss": self.issuer.origin}
        request.redirect(f"{self.asked['redirect_uri']}?{urlencode(answer)}".encode())
        return b""

    def _token(self, request: Any) -> bytes:
        fields = parse_qs(request.content.read().decode())
        if fields["grant_type"] == ["refresh_token"]:
            self.renewals += 1
            if self.ended:
                request.setResponseCode(400)
                return b'{"error": "invalid_grant"}'
        scope = "vault:default:read vault:default:write scribe:transcribe"
        body = {
            "access_token": self.issuer.token(scope=scope, jti=f"token-{self.renewals}"),
            "refresh_token": f"refresh-{self.renewals}",
            "expires_in": 1 if self.renewals == 0 else 900,
            "scope": scope,
            "vault": "default",
        }
        return json.dumps(body).encode()

    def _revoke(self, request: Any) -> bytes:
        return b""


@requires(program("chromium"))
class NotesTests(ExampleTestCase):
    """What a person does with the app."""

    timeout = 90

    async def start(self, *, oauth: bool = True) -> None:
        """Vault, scribe and the app behind one origin."""
        _out, err, code = await getProcessOutputAndValue(bun(), [str(EXAMPLES / "notes/build.ts")])
        self.assertEqual(code, 0, err)
        issuer = self.issuer()
        self.oauth = OAuth(issuer)
        program = self.home / "speech"
        program.write_text('#!/bin/sh\nhead -c 4 "$1" >/dev/null && echo "hello world"\n')
        program.chmod(0o700)
        root = issuer.root
        env = {"PARACHUTE_HUB_ORIGIN": issuer.origin, "SCRIBE_AUTH_TOKEN": SECRET}
        speech = {"TRANSCRIBE_PROVIDER": "command", "TRANSCRIBE_COMMAND": f"{program} {{file}}"}
        self.scribe = await self.serve("scribe/src/cli.ts", "serve", **env, **speech)
        address = f"http://127.0.0.1:{self.scribe.port}"
        self.vault = await self.serve("vault/src/cli.ts", "serve", **env, SCRIBE_URL=address)
        self.key = (self.home / "vault/data/default/initial-key").read_text().strip()
        root.putChild(b"notes", Shell())
        root.putChild(b"vault", Forward(self.vault))
        root.putChild(b"scribe", Forward(self.scribe, strip="/scribe"))
        if oauth:
            root.putChild(b"oauth", self.oauth)
            issuer.publish("oauth-authorization-server", self.metadata)
        self.origin = issuer.origin

    def metadata(self) -> dict[str, Any]:
        base = f"{self.oauth.issuer.origin}/oauth"
        return {
            "issuer": self.oauth.issuer.origin,
            "authorization_endpoint": f"{base}/authorize",
            "token_endpoint": f"{base}/token",
            "registration_endpoint": f"{base}/register",
            "revocation_endpoint": f"{base}/revoke",
            "code_challenge_methods_supported": ["S256"],
            "scopes_supported": ["scribe:transcribe", "vault:read", "vault:write"],
        }

    async def browse(self, work: Callable[[Page], None], **context: Any) -> None:
        """Runs `work` with a fresh browser in a thread. Script errors fail the test."""
        faults: list[str] = []

        def run() -> None:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
                try:
                    page = browser.new_page(**context)
                    page.set_default_timeout(WAIT)
                    page.on("pageerror", lambda error: faults.append(str(error)))
                    page.on("console", lambda line: faults.append(line.text) if "Policy" in line.text else None)
                    page.goto(f"{self.origin}/notes/")
                    work(page)
                finally:
                    browser.close()

        await deferToThread(run)
        self.assertEqual(faults, [])

    def connect_by_key(self, page: Page) -> None:
        page.get_by_text("Use a key of the vault instead").click()
        page.get_by_label("Key, starts with pvt_").fill(self.key)
        page.get_by_role("button", name="Use this key").click()
        expect(page.get_by_text("No notes yet")).to_be_visible(timeout=WAIT)

    async def notes(self) -> list[dict[str, Any]]:
        url = "/vault/default/api/notes?include_content=true"
        return list((await self.vault.ask("GET", url, token=self.key)).json())

    async def test_write_find_change_and_delete_with_a_key(self) -> None:
        await self.start(oauth=False)

        def work(page: Page) -> None:
            page.get_by_role("button", name="Connect", exact=True).click()
            expect(page.get_by_role("alert")).to_contain_text("use a key of the vault", timeout=WAIT)
            page.get_by_label("Key, starts with pvt_").fill(self.key)
            page.get_by_role("button", name="Use this key").click()
            for title, text in (("Garden", "tomatoes and beans"), ("Shop", "bread")):
                page.get_by_role("button", name="New note").click()
                page.get_by_label("Title").fill(title)
                page.get_by_label("Text").fill(text)
                page.get_by_label("Tags").fill("home, #list")
                page.get_by_role("button", name="Save").click()
                expect(page.get_by_role("status").first).to_have_text("Saved", timeout=WAIT)
            page.reload()
            notes = page.locator("#notes button")
            expect(notes).to_have_count(2, timeout=WAIT)
            page.get_by_label("Search notes").fill("tomat")
            expect(notes).to_have_count(1, timeout=WAIT)
            notes.first.click()
            page.get_by_label("Text").fill("only beans")
            page.keyboard.press("Control+s")
            expect(page.get_by_role("status").first).to_have_text("Saved", timeout=WAIT)
            page.get_by_label("Search notes").fill("bread")
            expect(notes.first).to_contain_text("Shop", timeout=WAIT)
            notes.first.click()
            page.get_by_role("button", name="Delete").click()
            page.get_by_role("dialog").get_by_role("button", name="Delete").click()
            expect(page.get_by_text("No note has these words")).to_be_visible(timeout=WAIT)

        await self.browse(work)
        (note,) = await self.notes()
        self.assertEqual((note["path"], note["content"], note["tags"]), ("Garden", "only beans", ["home", "list"]))

    async def test_connects_by_oauth_renews_speaks_and_is_told_the_end(self) -> None:
        await self.start()

        def work(page: Page) -> None:
            page.get_by_role("button", name="Connect", exact=True).click()
            expect(page.get_by_text("No notes yet")).to_be_visible(timeout=WAIT)
            self.assertEqual(page.url, f"{self.origin}/notes/")
            page.get_by_role("button", name="Speak").first.click()
            sound = {"name": "said.wav", "mimeType": "audio/wav", "buffer": hello_wav()}
            page.get_by_label("Or choose a recording").set_input_files(sound)  # type: ignore[arg-type]
            expect(page.get_by_label("Text")).to_have_value("hello world", timeout=WAIT)
            expect(page.get_by_role("status").first).to_have_text("Saved", timeout=WAIT)
            page.get_by_role("button", name="Speak").last.click()
            page.get_by_role("button", name="Start recording").click()
            page.get_by_role("button", name="Stop recording").click()
            expect(page.get_by_label("Text")).to_have_value("hello world\n\nhello world", timeout=WAIT)
            expect(page.get_by_role("status").first).to_have_text("Saved", timeout=WAIT)
            self.oauth.ended = True
            self.oauth.issuer.revoked.append("token-1")
            page.evaluate(SPOIL_TOKEN)
            page.get_by_label("Text").fill("hello world, kept")
            page.get_by_role("button", name="Save").click()
            expect(page.get_by_role("alert").first).to_contain_text("Connect again", timeout=WAIT)
            self.oauth.ended = False
            page.get_by_role("button", name="Connect", exact=True).click()
            expect(page.get_by_label("Text")).to_have_value("hello world, kept", timeout=WAIT)
            expect(page.get_by_role("status").first).to_have_text("Saved", timeout=WAIT)

        await self.browse(work)
        (note,) = await self.notes()
        self.assertEqual(note["content"], "hello world, kept")
        self.assertGreaterEqual(self.oauth.renewals, 2)
        self.assertEqual(self.oauth.asked["scope"], "vault:read vault:write scribe:transcribe")
        self.assertEqual(
            (self.oauth.asked["code_challenge_method"], len(self.oauth.asked["code_challenge"])), ("S256", 43)
        )

    async def test_a_change_elsewhere_is_not_overwritten(self) -> None:
        await self.start(oauth=False)
        created = await self.vault.ask("POST", "/vault/default/api/notes", token=self.key, body={"content": "first"})
        url = f"http://127.0.0.1:{self.vault.port}/vault/default/api/notes/{created.json()['id']}"

        def elsewhere(page: Page, content: str) -> None:
            headers = {"Authorization": f"Bearer {self.key}"}
            page.request.patch(url, headers=headers, data=json.dumps({"content": content}))

        def work(page: Page) -> None:
            page.get_by_text("Use a key of the vault instead").click()
            page.get_by_label("Key, starts with pvt_").fill(self.key)
            page.get_by_role("button", name="Use this key").click()
            page.locator("#notes button").click()
            elsewhere(page, "theirs")
            page.get_by_label("Text").fill("mine")
            page.get_by_role("button", name="Save").click()
            page.get_by_role("button", name="Take the other").click()
            expect(page.get_by_label("Text")).to_have_value("theirs")
            elsewhere(page, "theirs again")
            page.get_by_label("Text").fill("mine again")
            page.get_by_role("button", name="Save").click()
            page.get_by_role("button", name="Keep mine").click()
            expect(page.get_by_role("status").first).to_have_text("Saved", timeout=WAIT)

        await self.browse(work)
        self.assertEqual([note["content"] for note in await self.notes()], ["mine again"])

    async def test_opens_offline_and_saves_when_the_hub_is_back(self) -> None:
        await self.start(oauth=False)

        def work(page: Page) -> None:
            self.connect_by_key(page)
            page.wait_for_function("navigator.serviceWorker.controller !== null")
            page.context.set_offline(True)
            page.get_by_role("button", name="New note").click()
            page.get_by_label("Text").fill("written on a train")
            page.get_by_role("button", name="Save").click()
            expect(page.get_by_role("alert").first).to_contain_text("kept here", timeout=WAIT)
            page.reload()
            expect(page.get_by_label("Text")).to_have_value("written on a train", timeout=WAIT)
            page.context.set_offline(False)
            page.get_by_role("button", name="Save").click()
            expect(page.get_by_role("status").first).to_have_text("Saved", timeout=WAIT)

        await self.browse(work)
        self.assertEqual([note["content"] for note in await self.notes()], ["written on a train"])

    async def test_fits_a_narrow_screen_and_works_by_keyboard(self) -> None:
        await self.start(oauth=False)

        def fits(page: Page) -> None:
            width = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
            self.assertLessEqual(width[0], width[1])

        def work(page: Page) -> None:
            fits(page)
            self.connect_by_key(page)
            fits(page)
            page.get_by_role("button", name="New note").focus()
            page.keyboard.press("Enter")
            page.keyboard.type("By keyboard")
            page.keyboard.press("Tab")
            page.keyboard.type("no mouse")
            page.keyboard.press("Control+s")
            expect(page.get_by_role("status").first).to_have_text("Saved", timeout=WAIT)
            fits(page)
            page.get_by_role("button", name="All notes").click()
            expect(page.get_by_role("button", name="By keyboard")).to_be_visible()
            expect(page.get_by_role("button", name="New note")).to_be_focused()

        await self.browse(work, viewport={"width": 320, "height": 640}, color_scheme="dark")


ARGUMENTS = ["--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
SPOIL_TOKEN = """() => {
  const place = "parachute-notes:session";
  localStorage.setItem(place, JSON.stringify({...JSON.parse(localStorage.getItem(place)), expires: 0}));
}"""
