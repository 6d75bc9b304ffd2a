"""Views of passkeys: the list, one passkey, and why there are none at an address."""

from collections.abc import Callable, Mapping, Sequence

from twisted.web.template import Tag, tags

from parachute_hub.accounts.pages import fill, notice
from parachute_hub.accounts.passkeys.policy import Place
from parachute_hub.site.pages import Content
from parachute_hub.store.rows import Passkey

When = Callable[[float], str]


def obstacle(where: Place, path: str) -> Content:
    """Why passkeys do not work at an address, and what does; nothing where they do. `path` is the page."""
    match where.obstacle:
        case "number":
            port = where.origin.rpartition(":")[2]
            local = f"http://localhost:{port}" if port.isdigit() else "http://localhost"
            return tags.p(
                "A passkey belongs to a name, and this address is a number. On the machine that runs the hub, open ",
                tags.a(local, href=f"{local}{path}"),
                ". From elsewhere, use the hub’s https address.",
                class_="message busy",
                role="note",
            )
        case "plain":
            text = "Browsers use passkeys only over https. Open the hub at its https address to use one."
        case "stranger":
            text = "This is not the hub’s own address. Open it at the address that Settings shows to use a passkey."
        case "former":
            text = "The hub has moved: passkeys sign in here for a while. Add new ones at its new address."
        case _:
            return ""
    return notice(text, "busy")


def listed(
    passkeys: Sequence[Passkey], where: Place, names: frozenset[str], when: When, said: Mapping[str, Content], name: str
) -> Tag:
    """The person's passkeys, and the form for another. `name` is what the new one is called unless they change it."""
    rows = [_row(one, where, names, when) for one in passkeys]
    adding: Content = "" if where.obstacle else fill("passkey-add", name=name, **said)
    return fill(
        "passkeys",
        problem="" if adding else said["problem"],
        obstacle=obstacle(where, "/account/passkeys"),
        rows=tags.ul(*rows, class_="rows") if rows else tags.p("You have none yet.", class_="quiet"),
        adding=adding,
    )


def one(passkey: Passkey, when: When, said: Mapping[str, Content]) -> Tag:
    """One passkey, to be renamed or removed."""
    return fill("passkey", id=passkey.id, name=passkey.name, added=when(passkey.created_at), **said)


def told(passkey: Passkey, names: frozenset[str], when: When) -> Content:
    """A passkey's name and story."""
    used = f"last used {when(passkey.last_used_at)}" if passkey.last_used_at else "not used yet"
    words = [tags.p(f"Added {when(passkey.created_at)}, {used}", class_="quiet")]
    if passkey.blocked_at is not None:
        text = "It is refused, because somebody may have a copy of it. Remove it and add a new one."
        words.append(tags.p(text, class_="message bad"))
    elif passkey.rp_id not in names:
        text = f"It belongs to {passkey.rp_id}, which is not the hub’s address any more."
        words.append(tags.p(text, class_="message busy"))
    return tags.div(tags.h2(passkey.name), *words)


def _row(passkey: Passkey, where: Place, names: frozenset[str], when: When) -> Tag:
    change = tags.a(
        "Change",
        tags.span(f" {passkey.name}", class_="unseen"),
        class_="button small",
        href=f"/account/passkeys/{passkey.id}",
    )
    return tags.li(told(passkey, names, when), change)
