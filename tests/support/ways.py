"""Stand-ins for `tailscale`, `cloudflared` and `caddy`: small programs that print and end as their documents say.

They keep their state in a folder, so that a test sees what was done and can choose what goes wrong.

- `tailscale status --json`, `serve status --json`, `serve|funnel --bg --https=443 TARGET`, `... off` (1.52 and later)
- `cloudflared tunnel --url`, `tunnel list|create|route dns|run|delete` (errors to stderr, as log lines)
- `caddy run --config FILE --adapter caddyfile`
"""

import json
import os
import signal
import stat
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

NAME = "laptop.tail1234.ts.net"
LINK = "https://login.tailscale.com/f/serve?node=nTEST1CNTRL"
QUICK = "https://three-small-paper-boats.trycloudflare.com"
VERSIONS = {
    "tailscale": "1.102.4\n  tailscale commit: 0123abcd\n  go version: go1.26.1\n",
    "cloudflared": "cloudflared version 2026.8.1 (built 2026-08-20-1018 UTC)\n",
    "caddy": "v2.10.2 h1:g/gTYjGMD0dec+UgMw8SnfmJ3I9+M2TdvoRL/Ovu6U8=\n",
}


def install(folder: Path, *names: str) -> Path:
    """Put stand-ins into `folder`/bin, which belongs into PATH. Their state is in `folder`."""
    programs = folder / "bin"
    programs.mkdir(parents=True, exist_ok=True)
    for name in names:
        path = programs / name
        here = Path(__file__).parent.parent.parent
        path.write_text(
            f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(here)!r})\n"
            f"from tests.support.ways import main\nmain({name!r}, {str(folder)!r})\n"
        )
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return programs


def choose(folder: Path, **told: Any) -> None:
    """How the stand-ins behave: `version`, `state`, `https`, `mode` (enable, denied, slow, fail, quiet), `name`."""
    (folder / "choice.json").write_text(json.dumps({**_chosen(folder), **told}))


def served(folder: Path) -> dict[str, Any]:
    """What Tailscale serves now."""
    path = folder / "serve.json"
    return json.loads(path.read_text()) if path.exists() else {}


def calls(folder: Path) -> list[list[str]]:
    """The commands that changed something, in order."""
    path = folder / "calls.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def running(folder: Path) -> list[int]:
    """The stand-ins that go on running."""
    found = []
    for path in folder.glob("*.pid"):
        try:
            os.kill(int(path.read_text()), 0)
            found.append(int(path.read_text()))
        except (ProcessLookupError, ValueError):
            continue
    return found


def _chosen(folder: Path) -> dict[str, Any]:
    path = folder / "choice.json"
    return json.loads(path.read_text()) if path.exists() else {}


def main(name: str, place: str) -> NoReturn:
    folder, words = Path(place), sys.argv[1:]
    chosen = _chosen(folder)
    if words in (["version"], ["--version"]):
        print(chosen.get("version") or VERSIONS[name], end="")
        sys.exit(0)
    if chosen.get("mode") == "slow":
        time.sleep(600)
    {"tailscale": _tailscale, "cloudflared": _cloudflared, "caddy": _caddy}[name](folder, words, chosen)
    sys.exit(0)


def _fail(text: str) -> NoReturn:
    print(text, file=sys.stderr)
    sys.exit(1)


def _note(folder: Path, words: list[str]) -> None:
    with (folder / "calls.jsonl").open("a") as file:
        file.write(json.dumps(words) + "\n")


def _tailscale(folder: Path, words: list[str], chosen: Mapping[str, Any]) -> None:
    state = chosen.get("state", "Running")
    if state == "silent":
        _fail(
            "failed to connect to local tailscaled; it doesn't appear to be running (sudo systemctl start tailscaled ?)"
        )
    # A client that is older than its daemon says so, and goes on.
    print('Warning: client version "1.102.4" != tailscaled server version "1.104.0"', file=sys.stderr)
    if words[:2] == ["status", "--json"]:
        print(json.dumps(_status(state, chosen)))
        return
    if words == ["serve", "status", "--json"]:
        if chosen.get("mode") == "quiet":
            _fail("error: context deadline exceeded")
        print(json.dumps(served(folder)))
        return
    word, *rest = words
    if state != "Running" or word not in ("serve", "funnel"):
        _fail(f"error: {state}")
    if chosen.get("mode") == "denied":
        _fail(
            "sending serve config: Access denied: serve config denied\n\nUse 'sudo tailscale serve'.\n"
            "To not require root, use 'sudo tailscale set --operator=$USER' once."
        )
    if chosen.get("mode") == "fail":
        _fail("error: Another client is changing the serve config; please try again.")
    if rest == ["--https=443", "off"]:
        _note(folder, words)
        if f"{NAME}:443" not in served(folder).get("Web", {}):
            _fail("error: failed to remove web serve: handler does not exist")
        (folder / "serve.json").unlink()
        return
    if len(rest) != 3 or rest[:2] != ["--bg", "--https=443"]:
        _fail("error: invalid argument format")
    if chosen.get("mode") == "enable":
        print(
            f"{word.capitalize()} is not enabled on your tailnet.\nTo enable, visit:\n\n         {LINK}\n", flush=True
        )
        time.sleep(600)
    _note(folder, words)
    where = f"{NAME}:443"
    config: dict[str, Any] = {
        "TCP": {"443": {"HTTPS": True}},
        "Web": {where: {"Handlers": {"/": {"Proxy": rest[2]}}}},
    }
    if word == "funnel":
        config["AllowFunnel"] = {where: True}
    (folder / "serve.json").write_text(json.dumps(config))
    who = "on the internet" if word == "funnel" else "within your tailnet"
    print(f"Available {who}:\n\nhttps://{NAME}/\n|-- proxy {rest[2]}\n")
    print(f"{word.capitalize()} started and running in the background.")
    print(f"To disable the proxy, run: tailscale {word} --https=443 off")


def _status(state: str, chosen: Mapping[str, Any]) -> dict[str, Any]:
    name = "" if state == "NeedsLogin" else f"{NAME}."
    has_https = chosen.get("https", True) and state == "Running"
    return {
        "Version": "1.102.4-t0123abcd",
        "BackendState": state,
        "AuthURL": "",
        "TailscaleIPs": ["100.101.102.103"] if name else None,
        "Self": {"HostName": "laptop", "DNSName": name, "CapMap": {"https": None, "funnel": None}},
        "CertDomains": [NAME] if has_https else None,
        "Peer": None,
    }


def _log(level: str, text: str) -> None:
    print(f"2026-11-29T10:00:00Z {level} {text}", file=sys.stderr, flush=True)


def _cloudflared(folder: Path, words: list[str], chosen: Mapping[str, Any]) -> None:
    mode = chosen.get("mode")
    if words[:3] == ["tunnel", "--no-autoupdate", "--url"]:
        _note(folder, words)
        _log("INF", "Requesting new quick Tunnel on trycloudflare.com...")
        if mode == "fail":
            _log(
                "ERR", 'failed to request quick Tunnel: Post "https://api.trycloudflare.com/tunnel": dial tcp: refused'
            )
            sys.exit(1)
        _here(folder, "cloudflared")
        _log("INF", "+" + "-" * 92 + "+")
        _log("INF", "|  Your quick Tunnel has been created! Visit it at (it may take some time to be reachable):  |")
        _log("INF", f"|  {QUICK.ljust(88)}  |")
        _log("INF", "+" + "-" * 92 + "+")
        _stay()
    if words == ["tunnel", "list", "--output", "json"]:
        tunnels = [{"id": "6ff42ae2", "name": name} for name in _tunnels(folder)]
        print(json.dumps(tunnels or None))
        return
    _note(folder, words)
    match words:
        case ["tunnel", "create", name]:
            (folder / "tunnels").write_text(name)
            print(
                f"Tunnel credentials written to ~/.cloudflared/6ff42ae2.json.\nCreated tunnel {name} with id 6ff42ae2"
            )
        case ["tunnel", "route", "dns", _, host]:
            if mode == "fail":
                _log("ERR", f"Failed to add route: code: 1003, reason: A record for {host} already exists.")
                sys.exit(1)
            _log("INF", f"Added CNAME {host} which will route to this tunnel tunnelID=6ff42ae2")
        case ["tunnel", "delete", "-f", name]:
            (folder / "tunnels").write_text("")
            print(f"Deleted tunnel {name}")
        case ["tunnel", "--config", file, "--no-autoupdate", "run", _]:
            _here(folder, "cloudflared")
            _log("INF", f"Starting tunnel tunnelID=6ff42ae2 config={Path(file).name}")
            _log("INF", "Registered tunnel connection connIndex=0 connection=1 event=0 ip=198.41.200.13 protocol=quic")
            _stay()
        case _:
            _fail("Incorrect Usage.")


def _tunnels(folder: Path) -> list[str]:
    path = folder / "tunnels"
    return path.read_text().split() if path.exists() else []


def _caddy(folder: Path, words: list[str], chosen: Mapping[str, Any]) -> None:
    if words[0] != "run" or words[1] != "--config" or words[3:] != ["--adapter", "caddyfile"]:
        _fail("Error: unknown command")
    _note(folder, words)
    (folder / "Caddyfile.seen").write_text(Path(words[2]).read_text())
    if chosen.get("mode") == "fail":
        _fail("Error: loading initial config: loading new config: listening on :443: bind: permission denied")
    _here(folder, "caddy")
    print(json.dumps({"level": "info", "ts": 1.0, "msg": "serving initial configuration"}), file=sys.stderr, flush=True)
    _stay()


def _here(folder: Path, name: str) -> None:
    """One that goes on running."""
    (folder / f"{name}-{os.getpid()}.pid").write_text(str(os.getpid()))


def _stay() -> NoReturn:
    """Go on until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    while True:
        time.sleep(1)
