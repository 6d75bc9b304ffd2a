"""Composes `/api/links`."""

from functools import partial

from klein import Klein

from parachute_hub.accounts.assemble import Accounts
from parachute_hub.admin.links_api import LinksArea
from parachute_hub.app.elsewhere import linking_of
from parachute_hub.app.runtime import ModuleRuntime
from parachute_hub.site.auth import Authenticator


def links_app(engine: ModuleRuntime, accounts: Accounts, who: Authenticator) -> Klein:
    """The API of modules on other machines."""
    return LinksArea(
        who=who,
        step_up=accounts.step_up,
        links=engine.elsewhere,
        linking=partial(linking_of, engine.elsewhere),
        mover=engine.mover,
        modules=engine.modules,
        supervisor=engine.supervisor,
        done=accounts.trail.done,
    ).app
