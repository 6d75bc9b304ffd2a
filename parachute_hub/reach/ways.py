"""The ways to a hub, and the plan for each on this machine: what would run, who could reach it, what is missing."""

import re
from collections.abc import Mapping, Sequence
from typing import Final, Literal, TypeAlias

from attrs import evolve, field

from parachute_hub.reach.findings import Facts, Program, Version
from parachute_hub.system.records import frozen

WayId: TypeAlias = Literal[
    "tailscale-serve", "tailscale-funnel", "cloudflare-quick", "cloudflare-named", "caddy", "lan"
]
Audience: TypeAlias = Literal["tailnet", "internet", "network"]
HTTPS_PORT: Final = 443
LAN_PORT: Final = 8443
LAN_NAME: Final = "parachute"
TUNNEL: Final = "parachute-hub"
_TAILSCALE_LEAST: Final[Version] = (1, 52)
_CLOUDFLARED_LEAST: Final[Version] = (2022, 3)
_CADDY_LEAST: Final[Version] = (2,)
_NAMES: Final[Mapping[str, str]] = {"tailscale": "Tailscale", "cloudflared": "cloudflared", "caddy": "Caddy"}
_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


@frozen(kw_only=True)
class Way:
    """One way. `program` is what it needs on this machine, "" for none; `fields` are what a person chooses."""

    id: WayId
    title: str
    audience: Audience
    program: str
    least: Version = ()
    text: str
    get: str = ""
    fields: tuple["Choice", ...] = ()


@frozen(kw_only=True)
class Choice:
    """Something to choose: `name` in the API, a `label` and a `hint` for people, and what is taken without it."""

    name: str
    label: str
    hint: str
    default: str = ""


_HOST: Final = Choice(name="host", label="Your name for the hub", hint="A name of your own domain: hub.example.com")
WAYS: Final[tuple[Way, ...]] = (
    Way(
        id="tailscale-serve",
        title="Tailscale",
        audience="tailnet",
        program="tailscale",
        least=_TAILSCALE_LEAST,
        text="Your phone and this computer join your own private network. Nobody else can reach the hub.",
        get="https://tailscale.com/download",
    ),
    Way(
        id="lan",
        title="At home, by a local name",
        audience="network",
        program="",
        text="Works in the same Wi-Fi, without an account anywhere. Each device trusts the hub’s certificate once.",
        fields=(
            Choice(
                name="name",
                label="Name in your network",
                hint="Other devices open it with .local at the end.",
                default=LAN_NAME,
            ),
        ),
    ),
    Way(
        id="tailscale-funnel",
        title="Tailscale Funnel",
        audience="internet",
        program="tailscale",
        least=_TAILSCALE_LEAST,
        text="Tailscale gives the hub an address on the internet. Only this computer needs Tailscale.",
        get="https://tailscale.com/download",
    ),
    Way(
        id="cloudflare-named",
        title="Cloudflare Tunnel",
        audience="internet",
        program="cloudflared",
        least=_CLOUDFLARED_LEAST,
        text="A name of your own domain at Cloudflare leads to this computer. It stays the same.",
        get="https://developers.cloudflare.com/tunnel/downloads/",
        fields=(_HOST,),
    ),
    Way(
        id="cloudflare-quick",
        title="Cloudflare quick tunnel",
        audience="internet",
        program="cloudflared",
        least=_CLOUDFLARED_LEAST,
        text="For trying it out, without an account: a random address that ends with this hub’s next restart.",
        get="https://developers.cloudflare.com/tunnel/downloads/",
    ),
    Way(
        id="caddy",
        title="Caddy",
        audience="internet",
        program="caddy",
        least=_CADDY_LEAST,
        text="Your domain leads to this computer, and ports 80 and 443 are open to it. Caddy gets the certificate.",
        get="https://caddyserver.com/download",
        fields=(_HOST,),
    ),
)
BY_ID: Final[Mapping[str, Way]] = {way.id: way for way in WAYS}


@frozen(kw_only=True)
class Situation:
    """This hub. `proxied` says why nothing is run here: a platform or container, or a proxy in front already.

    `without_factor` are the owners who have no second factor. `open_pages` are the pages that ask for no sign-in.
    """

    port: int
    has_owner: bool = True
    proxied: str = ""
    active: WayId | None = None
    without_factor: Sequence[str] = ()
    open_pages: Sequence[str] = ()
    folder: str = ""


@frozen(kw_only=True)
class Plan:
    """What one way would do here. `commands` run in this order; the last one goes on running if `stays`.

    `origin` is the address it would give, "" if only the program tells it. `refused` says why it cannot begin, and
    `remedy` what to do: a sentence, or a link. `by_hand`: a person runs the commands, the hub takes the address.
    `config` is the file that the program reads. `undo` switches it off again. `wrong` says what is wrong with what the
    person has chosen.
    """

    way: Way
    origin: str = ""
    commands: tuple[tuple[str, ...], ...] = ()
    undo: tuple[tuple[str, ...], ...] = ()
    config: str = ""
    stays: bool = False
    by_hand: bool = False
    runs_already: bool = False
    public: tuple[str, ...] = ()
    refused: str = ""
    remedy: str = ""
    wrong: str = ""
    choices: Mapping[str, str] = field(factory=dict)


def host_problem(host: str) -> str:
    """What is wrong with a public host name; "" if nothing is.

    >>> host_problem("hub.example.com"), bool(host_problem("-f")), bool(host_problem("localhost"))
    ('', True, True)
    """
    labels = host.split(".")
    right = len(host) <= 253 and len(labels) >= 2 and all(map(_LABEL.fullmatch, labels)) and not labels[-1].isdigit()
    if not right or labels[-1] in ("local", "localhost", "internal"):
        return "Give a name of your own domain, such as hub.example.com."
    return ""


def name_problem(name: str) -> str:
    """What is wrong with a name for the local network."""
    return "" if _LABEL.fullmatch(name) else "Use lowercase letters, digits and hyphens, such as parachute."


def plan(way: Way, facts: Facts, here: Situation, given: Mapping[str, str]) -> Plan:
    """The plan for one way, with what the person has chosen so far."""
    choices = {one.name: (given.get(one.name) or one.default).strip().lower() for one in way.fields}
    program = facts.programs.get(way.program)
    steps = _steps(way, program, facts, here, choices)
    refused, remedy = _refusal(way, program, facts, here, steps)
    return evolve(
        steps, public=_public(way, here), refused=refused, remedy=remedy, wrong=_wrong(choices), choices=choices
    )


def target(port: int) -> str:
    """Where the programs send requests."""
    return f"http://127.0.0.1:{port}"


def _steps(way: Way, program: Program | None, facts: Facts, here: Situation, choices: Mapping[str, str]) -> Plan:
    """The plan as far as it says what would run."""
    called = program.path if program else way.program
    host, to = choices.get("host", ""), target(here.port)
    match way.id:
        case "tailscale-serve" | "tailscale-funnel":
            word = way.id.removeprefix("tailscale-")
            return Plan(
                way=way,
                origin=f"https://{facts.tailscale.name}" if facts.tailscale.name else "",
                commands=((called, word, "--bg", f"--https={HTTPS_PORT}", to),),
                undo=((called, word, f"--https={HTTPS_PORT}", "off"),),
                runs_already=facts.served.proxy == to and facts.served.funnel == (word == "funnel"),
            )
        case "cloudflare-quick":
            return Plan(way=way, commands=((called, "tunnel", "--no-autoupdate", "--url", to),), stays=True)
        case "cloudflare-named":
            file = f"{here.folder}/cloudflared.yml"
            return Plan(
                way=way,
                origin=f"https://{host}" if host else "",
                commands=(
                    (called, "tunnel", "create", TUNNEL),
                    (called, "tunnel", "route", "dns", TUNNEL, host or "hub.example.com"),
                    (called, "tunnel", "--config", file, "--no-autoupdate", "run", TUNNEL),
                ),
                undo=((called, "tunnel", "delete", "-f", TUNNEL),),
                config=f"ingress:\n  - hostname: {host}\n    service: {to}\n  - service: http_status:404\n",
                stays=True,
            )
        case "caddy":
            file = f"{here.folder}/Caddyfile"
            config = f"{host or 'hub.example.com'} {{\n\treverse_proxy {to.removeprefix('http://')}\n}}\n"
            mine = (called, "run", "--config", file, "--adapter", "caddyfile")
            theirs = (called, "reload", "--config", "/etc/caddy/Caddyfile")
            return Plan(
                way=way,
                origin=f"https://{host}" if host else "",
                commands=(theirs if facts.caddy_runs else mine,),
                config=config,
                stays=not facts.caddy_runs,
                by_hand=facts.caddy_runs,
            )
        case "lan":
            return Plan(way=way, origin=f"https://{choices['name']}.local:{LAN_PORT}")


def _public(way: Way, here: Situation) -> tuple[str, ...]:
    """What others get to see, in sentences."""
    who = {
        "tailnet": "Devices in your tailnet",
        "internet": "Anybody on the internet",
        "network": "Every device in the same network",
    }[way.audience]
    lines = [f"{who} can open the sign-in page and the pages of your modules. Notes and settings need an account."]
    if here.open_pages:
        lines.append(f"These pages ask for no sign-in: {', '.join(here.open_pages)}.")
    if way.audience == "internet":
        lines.append("The name gets into public lists of certificates, so strangers will find it and try passwords.")
    return tuple(lines)


def _refusal(way: Way, program: Program | None, facts: Facts, here: Situation, steps: Plan) -> tuple[str, str]:
    """Why it cannot begin, and what to do."""
    if not here.has_owner:
        return "This hub is not set up yet.", "Finish the set-up first: until then anybody who comes could claim it."
    if here.proxied:
        return here.proxied, "To use another name, set the public address."
    if here.active is not None:
        same = here.active == way.id
        return ("This way is open.", "") if same else (f"{BY_ID[here.active].title} is open.", "Close it first.")
    if way.program and program is None:
        return f"{_NAMES[way.program]} is not installed on this computer.", way.get
    if program is not None and program.version and program.version < way.least:
        least = ".".join(map(str, way.least))
        return f"{_NAMES[way.program]} {program.called} is too old: this needs {least} or newer.", way.get
    if way.audience == "internet" and here.without_factor:
        names = ", ".join(here.without_factor)
        return f"On the internet every owner needs a second factor. Still without one: {names}.", "/account/2fa"
    return _of_program(way, facts, steps)


def _wrong(choices: Mapping[str, str]) -> str:
    problems = {"host": host_problem, "name": name_problem}
    return next((wrong for name, value in choices.items() if (wrong := problems[name](value))), "")


def _of_program(way: Way, facts: Facts, steps: Plan) -> tuple[str, str]:
    if way.program == "tailscale":
        return _of_tailscale(way, facts, steps)
    if way.id == "cloudflare-named" and not facts.cloudflared.signed_in:
        return "cloudflared is not signed in to Cloudflare.", "Run this once: cloudflared tunnel login"
    if way.id == "cloudflare-quick" and facts.cloudflared.has_config:
        text = "cloudflared has a configuration of its own, and makes no quick tunnels beside it."
        return text, "Use a tunnel with your own name, or rename ~/.cloudflared/config.yml for a while."
    if way.id == "lan" and not facts.can_announce:
        return "The package zeroconf is missing.", "Install it beside parachute-hub, then restart the hub."
    if way.id == "lan" and not facts.addresses:
        return "This computer is not on a network.", "Connect it to your Wi-Fi."
    return "", ""


def _of_tailscale(way: Way, facts: Facts, steps: Plan) -> tuple[str, str]:
    match facts.tailscale.state:
        case "silent":
            return "Tailscale does not run.", "Start it, then look again. On Linux: sudo systemctl start tailscaled"
        case "signed-out":
            return "Tailscale is not signed in.", "Run this once: tailscale up"
        case "stopped":
            return "Tailscale is switched off.", "Run this: tailscale up"
    if not facts.tailscale.name:
        return "This computer has no name in your tailnet.", "https://login.tailscale.com/admin/dns"
    served = facts.served
    if not served.known:
        return "Tailscale did not say what it already serves.", "Try again in a moment."
    if not steps.runs_already and (served.other or served.proxy):
        return (
            f"Tailscale serves something else at https://{facts.tailscale.name} already.",
            "See it with: tailscale serve status",
        )
    if not facts.tailscale.has_https:
        text = "Your tailnet gives out no HTTPS certificates yet."
        return text, "https://login.tailscale.com/admin/dns"
    return "", ""
