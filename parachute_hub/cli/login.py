"""`parachute login`, `logout` and `hubs`: hubs on other machines."""

import os
import sys
from argparse import Namespace
from contextlib import suppress
from urllib.parse import urlsplit

from parachute_hub.cli.client import CommandError, HubDown
from parachute_hub.cli.commands import show
from parachute_hub.cli.grammar import Words
from parachute_hub.cli.profiles import Profile, profiles
from parachute_hub.cli.tables import table
from parachute_hub.system.log_lines import visible


def add_words(words: Words) -> None:
    """Add the words to the grammar."""
    word = words.add
    sub = word("login", login, "Sign in to a hub on another machine.")
    sub.add_argument("address", help="its address, such as https://hub.example.com")
    sub.add_argument("--name", help="what to call it here; its host by default")
    sub.add_argument("--device", action="store_true", help="show a code to type in a browser on any device")
    sub.add_argument(
        "--plain-http", action="store_true", help="accept a hub without encryption, in a network you trust"
    )
    out = word("logout", logout, "Sign out of a hub on another machine.")
    out.add_argument("hub_name", nargs="?", metavar="HUB", help="its name or address; the last one by default")
    word("hubs", hubs, "Show the hubs on other machines that you are signed in to.")


def login(arguments: Namespace) -> int:
    """By the browser of this machine if there is one, else by a code."""
    from parachute_hub.cli.remote import Site, origin_of
    from parachute_hub.cli.sign_in import by_browser, by_device, has_browser, revoke

    site = Site(origin_of(arguments.address, plain=arguments.plain_http))
    document = site.get("/.well-known/oauth-authorization-server")
    issuer = visible(str(document.get("issuer", "")))[:200]
    if issuer != site.origin:
        raise CommandError(f"This hub is known as {issuer}. Sign in there: parachute login {issuer}")
    if "device_authorization_endpoint" not in document:
        raise CommandError("This hub is too old for `parachute login`. Upgrade it first.")
    profile, store = Profile(arguments.name or urlsplit(site.origin).netloc, site.origin), profiles()
    store.check(profile)
    with store.locked():
        # Nobody signs in for tokens that could not be kept.
        before = store.held(profile)
    by_code = arguments.device or not has_browser(os.environ, sys.platform)
    held = by_device(site, _say) if by_code else by_browser(site, _say)
    try:
        store.put(profile, held)
    except (CommandError, OSError):
        with suppress(CommandError):
            revoke(site, held)
        raise
    if before is not None:
        with suppress(CommandError):
            revoke(site, before)
    text = f"You are signed in to {profile.origin}. Use it with `--hub {profile.name}`."
    show(arguments, {"name": profile.name, "origin": profile.origin, "scope": held.scope}, text)
    return 0


def logout(arguments: Namespace) -> int:
    """Revoke the tokens and forget the hub. Exit code 1 if the hub could not be told."""
    from parachute_hub.cli.remote import Site
    from parachute_hub.cli.sign_in import revoke

    store = profiles()
    wanted = arguments.hub_name
    profile = store.get(wanted) if wanted else next(iter(store.all()), None)
    if profile is None:
        raise CommandError(f"You are not signed in to {wanted or 'a hub on another machine'}. See: parachute hubs")
    held = store.held(profile)
    try:
        told = held is not None and revoke(Site(profile.origin), held)
    except HubDown:
        told = False
    store.remove(profile)
    text = f"You are signed out of {profile.origin}."
    if not told:
        text += " The hub was not told: end the command's access there, under Connected apps."
    show(arguments, {"origin": profile.origin, "revoked": told}, text)
    return 0 if told else 1


def hubs(arguments: Namespace) -> int:
    """The list, the last used first."""
    known = profiles().all()
    text = (
        table(("NAME", "ADDRESS"), [(one.name, one.origin) for one in known])
        if known
        else "You are signed in to no hub on another machine."
    )
    show(arguments, {"hubs": [{"name": one.name, "origin": one.origin} for one in known]}, text)
    return 0


def _say(text: str) -> None:
    print(visible(text), file=sys.stderr, flush=True)
