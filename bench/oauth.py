"""The issuer in figures: a token-checked read of the vault compared with an unchecked one, JWKS, the token endpoint.
The baseline is the same read through a second hub that checks no token (`bench/unchecked.py`); the vaults check
theirs in both. Medians over rounds, 16 connections, whole processes. `python -m bench oauth`
"""

import http.client
import json
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

from parachute_hub.oauth.tokens.grant_policy import challenge_of
from tests.live.harness import OWNER, HubProcess, fetch, packed_examples
from tests.live.oauth_rig import Person

ROUNDS, SECONDS, CONNECTIONS = 5, 3, 16
# The token endpoint allows each app sixty requests a minute.
REFRESHES = 50
VERIFIER = "v" * 43
CALLBACK = "http://127.0.0.1:7777/callback"


def rate(url: str, headers: Mapping[str, str]) -> float:
    """Successful responses per second, by wrk."""
    words = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s"]
    for name, value in headers.items():
        words += ["-H", f"{name}: {value}"]
    said = subprocess.run([*words, url], capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said:
        raise SystemExit(f"{url} answered with errors:\n{said}")
    found = re.search(r"Requests/sec:\s+([\d.]+)", said)
    return float(found[1]) if found else 0.0


def medians(cases: Mapping[str, tuple[str, Mapping[str, str]]]) -> dict[str, float]:
    """Run the cases in turn, round after round."""
    found: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(ROUNDS):
        for name, (url, headers) in cases.items():
            found[name].append(rate(url, headers))
    return {name: statistics.median(rates) for name, rates in found.items()}


def connect(hub: HubProcess, person: Person, number: int, scope: str = "vault:read") -> tuple[str, str]:
    """An app for each connection: its id and refresh token."""
    body = {"redirect_uris": [f"{CALLBACK}/{number}"], "client_name": f"bench {number}"}
    headers = {"Authorization": f"Bearer {(hub.home / 'operator.token').read_text().strip()}"}
    client_id = fetch(f"{hub.url}/oauth/register", method="POST", body=body, headers=headers).json()["client_id"]
    ask = {
        "client_id": client_id,
        "redirect_uri": f"{CALLBACK}/{number}",
        "response_type": "code",
        "scope": scope,
        "code_challenge": challenge_of(VERIFIER),
        "code_challenge_method": "S256",
        **({"resource": f"{hub.url}/vault/default/mcp"} if scope.startswith("vault:") else {}),
    }
    code = parse_qs(urlsplit(person.allow(f"/oauth/authorize?{urlencode(ask)}")).query)["code"][0]
    form = {"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER, "client_id": client_id}
    answer = fetch(
        f"{hub.url}/oauth/token",
        method="POST",
        body=urlencode({**form, "redirect_uri": f"{CALLBACK}/{number}"}).encode(),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    return client_id, str(answer.json()["refresh_token"])


def refresh(connection: http.client.HTTPConnection, client_id: str, token: str) -> str:
    """The next refresh token."""
    form = urlencode({"grant_type": "refresh_token", "refresh_token": token, "client_id": client_id})
    connection.request("POST", "/oauth/token", form, {"Content-Type": "application/x-www-form-urlencoded"})
    return str(json.loads(connection.getresponse().read())["refresh_token"])


def refreshes(hub: HubProcess, apps: list[tuple[str, str]]) -> tuple[float, float]:
    """Refreshes per second over all apps, and the median duration in milliseconds."""
    times: list[float] = []

    def run(client_id: str, token: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", hub.port)
        for _ in range(REFRESHES):
            began = time.perf_counter()
            token = refresh(connection, client_id, token)
            times.append(time.perf_counter() - began)
        connection.close()

    threads = [threading.Thread(target=run, args=app) for app in apps]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(times) / (time.perf_counter() - began), statistics.median(times) * 1000


def vault_read(hub: HubProcess) -> tuple[str, Mapping[str, str]]:
    """A read of the vault with a valid token."""
    body = {"scope": "vault:default:read", "expires_in": 3600}
    token = hub.client.call("POST", "/api/auth/mint-token", body)["token"]
    return f"{hub.url}/vault/default/api/notes?limit=1", {"Authorization": f"Bearer {token}"}


def measure(hub: HubProcess, unchecking: HubProcess) -> None:
    """Print the table for two running hubs with a vault each."""
    checked, unchecked, keys = "vault read, token checked", "vault read, not checked", "JWKS"
    found = medians(
        {
            checked: vault_read(hub),
            unchecked: vault_read(unchecking),
            keys: (f"{hub.url}/.well-known/jwks.json", {}),
        }
    )
    for name, speed in found.items():
        print(f"{name:28}{speed:9.0f} req/s{speed / found[unchecked]:8.2f} x unchecked", flush=True)
    person = Person(hub.url).sign_in(password=OWNER["PARACHUTE_INITIAL_ADMIN_PASSWORD"])
    speed, middle = refreshes(hub, [connect(hub, person, number) for number in range(CONNECTIONS)])
    print(f"{'refresh, signed and on disk':28}{speed:9.0f} req/s{'':19}p50 {middle:.1f} ms")


def with_vault(hub: HubProcess) -> None:
    """Start a hub and install a vault."""
    hub.start().install("vault")
    hub.wait_for(lambda: hub.module("vault")["supervisor_status"] == "running", "the vault")


def main() -> None:
    """Start two hubs with a vault from the packed examples, measure, stop them."""
    catalog = packed_examples()
    with tempfile.TemporaryDirectory() as folder:
        hub = HubProcess(home=Path(folder) / "home", catalog=catalog, environment=OWNER)
        unchecking = HubProcess(
            home=Path(folder) / "unchecking",
            catalog=catalog,
            environment=OWNER,
            program=(sys.executable, "-m", "bench.unchecked"),
        )
        try:
            for each in (hub, unchecking):
                with_vault(each)
            measure(hub, unchecking)
        finally:
            hub.end()
            unchecking.end()


if __name__ == "__main__":
    main()
