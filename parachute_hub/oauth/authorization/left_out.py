"""What an app asked for and does not get, with the reason for the consent page."""

from collections.abc import Collection, Sequence

from parachute_hub.oauth.authorization.scopes import ScopeCatalog, vault_scope
from parachute_hub.store.rows import User
from parachute_hub.system.records import frozen

OWN_RESOURCES = frozenset({"vault", "scribe", "surface", "account", "hub", "parachute"})


@frozen
class LeftOut:
    """A requested scope that cannot be granted, and why, as a clause."""

    scope: str
    text: str
    why: str


def missing(
    asked: Sequence[str], wished: Sequence[str], offered: Collection[str], *, catalog: ScopeCatalog, user: User
) -> tuple[LeftOut, ...]:
    """What was asked for and is not offered. `wished` is what exists of it here, narrowed to the resource.

    Words of other servers (`openid`) are not listed: clients send them to every server.
    """
    ours = {*OWN_RESOURCES, *catalog.modules}
    lost = {scope: _why_not(scope, catalog, user) for scope in wished if scope not in offered}
    for scope in asked:
        if scope in wished or scope.partition(":")[0] not in ours:
            continue
        found = vault_scope(scope)
        if not catalog.knows(scope):
            lost[scope] = _unknown(scope, found.name if found else None)
        elif found is None or found.name is not None:
            lost[scope] = "it does not belong to the address that the app connects to"
    return tuple(LeftOut(scope, catalog.explain(scope).text, why) for scope, why in lost.items())


def _unknown(scope: str, vault: str | None) -> str:
    return f"there is no vault “{vault}” here" if vault else "no module on this hub offers it"


def _why_not(scope: str, catalog: ScopeCatalog, user: User) -> str:
    found = vault_scope(scope)
    if found is None:
        return "only an owner of this hub can allow it"
    if user.is_admin:
        return "there is no vault on this hub yet"
    if found.name is not None and found.name not in user.vaults:
        return f"the vault “{found.name}” is not shared with you; ask the owner of this hub"
    if not set(user.vaults) & set(catalog.vaults):
        return "you have no vault yet; ask the owner of this hub for one"
    return "you may only read; ask the owner of this hub"
