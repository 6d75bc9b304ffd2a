"""The reference scribe as a process: access, configuration and both providers."""

import hashlib
import io
import json
import os
import stat
import wave
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.web.resource import Resource

from tests.support.examples import ExampleTestCase, Module, Reply

SECRET = "s3cret-of-the-hub"
TRANSCRIBE = "/v1/audio/transcriptions"
CONFIG = "/.parachute/config"
AUDIO = bytes(range(256)) * 3000 + b"\r\n--not the boundary\r\n"


def form(*parts: tuple[str, bytes], boundary: str = "edge", end: bool = True) -> tuple[dict[str, str], bytes]:
    """Headers and body of a multipart form."""
    body = b""
    for disposition, content in parts:
        head = f"--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n"
        body += head.encode() + content + b"\r\n"
    body += f"--{boundary}--\r\n".encode() if end else b""
    return {"Content-Type": f"multipart/form-data; boundary={boundary}"}, body


class Service(Resource):
    """Stands for OpenAI; records requests."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.status = 200
        self.code = ""
        self.requests: list[tuple[str, str | None, bytes]] = []

    def render_POST(self, request: Any) -> bytes:
        self.requests.append((request.path.decode(), request.getHeader("authorization"), request.content.read()))
        request.setResponseCode(self.status)
        error = {"message": "Incorrect API key: sk-secret", "code": self.code}
        return json.dumps({"text": " hello world ", "error": error}).encode()


class ScribeTestCase(ExampleTestCase):
    """A running scribe with the hub's secret."""

    async def scribe(self, **env: str) -> Module:
        return await self.serve("scribe/src/cli.ts", "serve", **{"SCRIBE_AUTH_TOKEN": SECRET, **env})

    async def upload(self, scribe: Module, *parts: tuple[str, bytes], token: str = SECRET) -> Reply:
        headers, data = form(*(parts or (('name="file"; filename="said.wav"', AUDIO),)))
        return await scribe.ask("POST", TRANSCRIBE, token=token, headers=headers, data=data)

    async def configure(self, scribe: Module, **values: Any) -> Reply:
        return await scribe.ask("PUT", CONFIG, token=SECRET, body=values)

    def program(self, text: str) -> str:
        path = self.home / "program"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o700)
        return str(path)


class AccessTests(ScribeTestCase):
    """Who may use it."""

    async def test_without_a_secret_only_health_and_info_answer(self) -> None:
        scribe = await self.scribe(SCRIBE_AUTH_TOKEN="")
        self.assertEqual((await scribe.ask("GET", "/health")).json(), {"ok": True})
        info = (await scribe.ask("GET", "/.parachute/info")).json()
        self.assertEqual((info["name"], info["iconUrl"]), ("parachute-scribe", "/scribe/.parachute/icon.svg"))
        self.assertEqual((await scribe.ask("GET", "/.parachute/icon.svg")).headers["content-type"], "image/svg+xml")
        for method, path in (("GET", CONFIG), ("PUT", CONFIG), ("GET", "/v1/models"), ("POST", TRANSCRIBE)):
            reply = await scribe.ask(method, path, token="anything", body={})
            self.assertEqual((path, reply.status, reply.json()["error"]), (path, 503, "not_configured"))

    async def test_secret_and_scopes(self) -> None:
        issuer = self.issuer()
        issuer.revoked.append("gone")
        scribe = await self.scribe(PARACHUTE_HUB_ORIGIN=issuer.origin)
        table = [
            (None, 401, 401),
            ("wrong", 401, 401),
            (SECRET, 200, 200),
            (issuer.token(scope="scribe:transcribe vault:default:read"), 200, 403),
            (issuer.token(scope="scribe:admin"), 403, 200),
            (issuer.token(scope="vault:default:admin"), 403, 403),
            (issuer.token(scope="scribe:transcribe", jti="gone"), 401, 401),
            (issuer.token(scope="scribe:transcribe", iss="http://evil.test"), 401, 401),
        ]
        for number, (token, models, config) in enumerate(table):
            got = [(await scribe.ask("GET", path, token=token)).status for path in ("/v1/models", CONFIG)]
            self.assertEqual((number, got), (number, [models, config]))
        refusal = await scribe.ask("GET", "/v1/models")
        self.assertEqual((refusal.json()["error"], "www-authenticate" in refusal.headers), ("unauthorized", False))

    async def test_the_secret_may_lie_in_the_configuration_and_survives_a_form(self) -> None:
        folder = self.home / "scribe"
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps({"auth": {"required_token": "from-file"}, "other": 1}))
        scribe = await self.scribe(SCRIBE_AUTH_TOKEN="")
        self.assertEqual((await scribe.ask("GET", CONFIG, token="from-file")).status, 200)
        saved = await scribe.ask("PUT", CONFIG, token="from-file", body={"openai_model": "m"})
        self.assertEqual((saved.status, saved.json()["openai_model"]), (200, "m"))
        stored = json.loads((folder / "config.json").read_text())
        self.assertEqual(stored, {"auth": {"required_token": "from-file"}, "other": 1, "openai_model": "m"})

    async def test_registers_its_row(self) -> None:
        scribe = await self.scribe()
        (row,) = json.loads((self.home / "services.json").read_text())["services"]
        self.assertEqual((row["name"], row["port"], row["paths"]), ("parachute-scribe", scribe.port, ["/scribe"]))
        self.assertEqual((row["health"], row["stripPrefix"]), ("/health", True))


class ConfigurationTests(ScribeTestCase):
    """GET and PUT of the configuration."""

    async def test_a_key_is_stored_kept_and_never_shown(self) -> None:
        scribe = await self.scribe()
        saved = await self.configure(scribe, openai_key="sk-1234567", openai_url="http://127.0.0.1:9/v1")
        self.assertEqual((saved.status, saved.json()["openai_key_set"]), (200, True))
        again = await self.configure(scribe, openai_model="other", openai_key="")
        self.assertEqual(again.json()["openai_url"], "https://api.openai.com/v1")
        shown = await scribe.ask("GET", CONFIG, token=SECRET)
        self.assertEqual((shown.json()["openai_key_set"], shown.json()["openai_model"]), (True, "other"))
        path = self.home / "scribe/config.json"
        self.assertEqual(json.loads(path.read_text()), {"openai_key": "sk-1234567", "openai_model": "other"})
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        for text in (saved.body, again.body, shown.body, scribe.process.output.encode()):
            self.assertNotIn(b"sk-1234567", text)

    async def test_what_the_form_shows_can_be_sent_back(self) -> None:
        scribe = await self.scribe()
        shown = (await scribe.ask("GET", CONFIG, token=SECRET)).json()
        self.assertEqual((await self.configure(scribe, **shown)).json(), shown)
        schema = (await scribe.ask("GET", "/.parachute/config/schema")).json()
        self.assertEqual(set(shown), set(schema["properties"]) - {"openai_key"})

    async def test_a_bad_form_names_each_field_and_changes_nothing(self) -> None:
        scribe = await self.scribe()
        await self.configure(scribe, openai_model="before")
        path = self.home / "scribe/config.json"
        before = path.read_text()
        bad: dict[str, Any] = {
            "provider": "magic",
            "openai_url": "ftp://x",
            "openai_model": 5,
            "command": "whisper",
            "command_seconds": 0,
            "surprise": 1,
        }
        reply = await self.configure(scribe, **bad)
        self.assertEqual((reply.status, reply.json()["error"]), (400, "validation_failed"))
        self.assertEqual([error["path"] for error in reply.json()["errors"]], list(bad))
        self.assertEqual((await self.configure(scribe, provider="command")).status, 400)
        self.assertEqual((await self.configure(scribe, command='["p", 1]')).status, 400)
        self.assertEqual((await scribe.ask("PUT", CONFIG, token=SECRET, data=b"[]")).status, 400)
        self.assertEqual(path.read_text(), before)


class ProviderTests(ScribeTestCase):
    """Audio to text."""

    timeout = 30

    async def test_unconfigured_says_what_to_do(self) -> None:
        reply = await self.upload(await self.scribe())
        self.assertEqual((reply.status, reply.json()["error"]), (503, "not_configured"))
        self.assertIn("Configure", reply.json()["message"])

    async def test_without_a_key_a_whisper_that_is_there_is_used(self) -> None:
        tools = self.home / "tools"
        tools.mkdir()
        program = tools / "whisper-cli"
        program.write_text('#!/bin/sh\ntest "$1" = -m && test -f "$2" && echo "by whisper"\n')
        program.chmod(0o700)
        scribe = await self.scribe(PATH=f"{tools}:{os.environ['PATH']}")
        empty = (await scribe.ask("GET", "/v1/models", token=SECRET)).json()
        self.assertEqual(empty["data"], [])
        self.assertIn("whisper.cpp is on this machine and needs a model", empty["message"])
        models = self.home / "scribe/models"
        models.mkdir()
        (models / "ggml-base.bin").write_bytes(b"model")
        self.assertEqual((await scribe.ask("GET", "/v1/models", token=SECRET)).json()["data"][0]["id"], "command")
        self.assertEqual((await self.upload(scribe)).json(), {"text": "by whisper"})

    async def test_a_service_gets_the_audio_the_model_and_the_key(self) -> None:
        service = Service()
        url = f"{self.listen(service)}/v1"
        scribe = await self.scribe(OPENAI_BASE_URL=url, OPENAI_API_KEY="sk-k")
        file = ('name="file"; filename="said.webm"', AUDIO)
        reply = await self.upload(scribe, ('name="language"', b"en"), ('name="model"', b"mine"), file)
        self.assertEqual((reply.status, reply.json()), (200, {"text": "hello world"}))
        ((path, authorization, body),) = service.requests
        self.assertEqual((path, authorization), ("/v1/audio/transcriptions", "Bearer sk-k"))
        for piece in (AUDIO, b'filename="said.webm"', b"whisper-1", b'"language"'):
            self.assertIn(piece, body)
        self.assertNotIn(b"mine", body)
        plain = await self.upload(scribe, file, ('name="response_format"', b"text"))
        self.assertEqual(plain.body, b"hello world\n")
        for status, words in ((401, "Check the key"), (500, "answered 500")):
            service.status = status
            failed = await self.upload(scribe)
            self.assertEqual((failed.status, failed.json()["error"]), (502, "provider_failed"))
            self.assertIn(words, failed.json()["message"])
            self.assertNotIn(b"sk-", failed.body)
        await self.configure(scribe, openai_url="http://127.0.0.1:9/v1")
        self.assertIn("did not answer", (await self.upload(scribe)).json()["message"])

    async def test_a_test_says_what_is_wrong(self) -> None:
        """With one tiny request, which is a recording that programs can read."""
        service = Service()
        url = f"{self.listen(service)}/v1"
        scribe = await self.scribe(OPENAI_API_KEY="")

        async def tested() -> tuple[bool, str]:
            told = (await scribe.ask("POST", f"{CONFIG}/test", token=SECRET)).json()
            return told["ok"], told["message"]

        self.assertEqual((await scribe.ask("POST", f"{CONFIG}/test", token="other")).status, 401)
        self.assertIn("needs the API key", (await tested())[1])
        await self.configure(scribe, openai_url=url, openai_key="sk-k")
        for status, code, ok, words in (
            (200, "", True, "It works"),
            (401, "invalid_api_key", False, "refused the API key"),
            (403, "", False, "Check the key"),
            (429, "insufficient_quota", False, "no credit left"),
            (402, "", False, "no credit left"),
            (429, "rate_limit_exceeded", False, "too many requests"),
            (404, "model_not_found", False, "address or model"),
            (400, "", False, "Check the model"),
            (503, "", False, "Try again later"),
        ):
            service.status, service.code = status, code
            works, message = await tested()
            self.assertEqual((works, words in message, "sk-" in message), (ok, True, False), message)
        sound = service.requests[0][2].partition(b"RIFF")[2]
        with wave.open(io.BytesIO(b"RIFF" + sound)) as recording:
            self.assertEqual((recording.getnframes(), recording.getframerate()), (8000, 8000))
        await self.configure(scribe, openai_url="http://127.0.0.1:9/v1")
        self.assertEqual((await tested())[0], False)
        await self.configure(scribe, provider="command", command="no-such-program {file}")
        self.assertIn("cannot be started", (await tested())[1])
        await self.configure(scribe, provider="command", command=f"{self.program('echo yes')} {{file}}")
        self.assertTrue((await tested())[0])
        self.assertEqual(list((self.home / "scribe/tmp").iterdir()), [])

    async def test_a_program_gets_the_file_and_prints_the_text(self) -> None:
        scribe = await self.scribe(OPENAI_API_KEY="sk-k")
        program = self.program('sha256sum < "$1"; echo "$1"; env')
        await self.configure(scribe, provider="command", command=f'["{program}", "{{file}}"]')
        reply = await self.upload(scribe)
        digest, path, *env = reply.json()["text"].splitlines()
        self.assertEqual(digest.split()[0], hashlib.sha256(AUDIO).hexdigest())
        self.assertTrue(path.endswith(".wav"), path)
        self.assertFalse([line for line in env if SECRET in line or "sk-k" in line])
        self.assertEqual(list((self.home / "scribe/tmp").iterdir()), [])
        for text, words in (("exit 3", "failed (3)"), ("exec yes", "too much")):
            await self.configure(scribe, provider="command", command=f"{self.program(text)} {{file}}")
            failed = await self.upload(scribe)
            self.assertEqual((failed.status, words in failed.json()["message"]), (502, True), failed.body)
        await self.configure(scribe, provider="command", command="no-such-program {file}")
        self.assertIn("cannot be started", (await self.upload(scribe)).json()["message"])

    async def test_a_program_that_hangs_is_ended_with_its_helpers(self) -> None:
        scribe = await self.scribe()
        pids = self.home / "pids"
        slow = self.program(f"sleep 600 & echo $! >> {pids}; echo $$ >> {pids}; wait")
        await self.configure(scribe, provider="command", command=f"{slow} {{file}}", command_seconds=1)
        reply = await self.upload(scribe)
        self.assertIn("more than 1 seconds", reply.json()["message"])
        await self.gone(pids)
        await self.configure(scribe, provider="command", command=f"{slow} {{file}}", command_seconds=600)
        pids.unlink()
        pending = self.upload_in_background(scribe)
        while not pids.exists() or len(pids.read_text().split()) < 2:
            await self.pause()
        self.assertEqual(await scribe.process.signal("TERM"), 0)
        await pending
        await self.gone(pids)

    def upload_in_background(self, scribe: Module) -> "Deferred[Reply | None]":
        return Deferred.fromCoroutine(self.upload(scribe)).addErrback(lambda _cut_off: None)

    async def gone(self, pids: Path) -> None:
        def runs(pid: str) -> bool:
            try:
                return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
            except (FileNotFoundError, ProcessLookupError):
                return False

        while any(runs(pid) for pid in pids.read_text().split()):
            await self.pause()

    async def test_a_bad_form_is_refused_and_leaves_no_file(self) -> None:
        scribe = await self.scribe()
        await self.configure(scribe, provider="command", command="sha256sum {file}")
        headers, cut = form(('name="file"; filename="a.wav"', AUDIO), end=False)
        file = ('name="file"; filename="a"', b"x")
        bad = [
            (headers, cut),
            ({"Content-Type": "application/json"}, b"{}"),
            form(('name="other"', b"x")),
            form(file, file),
            form(file, ('name="long"', b"y" * 20_000)),
            ({"Content-Type": "multipart/form-data; boundary=edge"}, b""),
        ]
        for number, (head, data) in enumerate(bad):
            reply = await scribe.ask("POST", TRANSCRIBE, token=SECRET, headers=head, data=data)
            self.assertEqual((number, reply.status), (number, 400), reply.body)
        self.assertEqual(list((self.home / "scribe/tmp").iterdir()), [])
        quoted, data = form(file, boundary="a b")
        quoted["Content-Type"] = 'multipart/form-data; boundary="a b"'
        good = await scribe.ask("POST", TRANSCRIBE, token=SECRET, headers=quoted, data=data)
        self.assertIn(hashlib.sha256(b"x").hexdigest(), good.json()["text"])

    async def test_the_vault_passes_audio_on(self) -> None:
        scribe = await self.scribe(TRANSCRIBE_PROVIDER="command", TRANSCRIBE_COMMAND="sha256sum {file}")
        address = f"http://127.0.0.1:{scribe.port}"
        vault = await self.serve("vault/src/cli.ts", "serve", SCRIBE_URL=address, SCRIBE_AUTH_TOKEN=SECRET)
        key = (self.home / "vault/data/default/initial-key").read_text().strip()
        headers, data = form(('name="file"; filename="a.wav"', AUDIO))
        url = "/vault/default/api/transcribe"
        reply = await vault.ask("POST", url, token=key, headers=headers, data=data)
        self.assertEqual((reply.status, reply.json()["text"].split()[0]), (200, hashlib.sha256(AUDIO).hexdigest()))
        self.assertEqual((await vault.ask("POST", url, headers=headers, data=data)).status, 401)
        await scribe.process.signal("KILL")
        self.assertEqual((await vault.ask("POST", url, token=key, headers=headers, data=data)).status, 502)
