"""Composes moving in from the older hub."""

import secrets
import time

from parachute_hub.accounts.assemble import Accounts
from parachute_hub.accounts.encryption import Sealer
from parachute_hub.app.context import ProcessContext
from parachute_hub.app.runtime import ModuleRuntime
from parachute_hub.migration.home import is_older
from parachute_hub.migration.service import MoveIn
from parachute_hub.oauth.tokens.keys import is_private_pem
from parachute_hub.settings import is_origin
from parachute_hub.site.auth import Authenticator
from parachute_hub.site.root import MountedArea, later
from parachute_hub.store.database import Database
from parachute_hub.store.older_hub import MoveInStore
from parachute_hub.store.settings import StoredSettings
from parachute_hub.system.loading import lazily
from parachute_hub.system.random_tokens import new_id

with lazily():
    from parachute_hub.admin import move_in_pages


def build_move_in(
    core: ProcessContext, engine: ModuleRuntime, database: Database, accounts: Accounts, sealer: Sealer
) -> MoveIn:
    """Create the service. Does nothing until somebody moves in."""
    files = engine.modules.files
    return MoveIn(
        home=core.settings.home,
        found=is_older(core.settings.home),
        has_owner=lambda: not accounts.gate.closed,
        write=database.write,
        store=MoveInStore(database, seal=sealer.seal, new_id=lambda: new_id(secrets.token_bytes)),
        audit=accounts.audit,
        settings=StoredSettings(database),
        channels=files.directory.records,
        is_origin=is_origin,
        is_key=is_private_pem,
        in_thread=files.outside.in_thread,
        restart=core.restart,
        now=time.time,
        random=secrets.token_bytes,
    )


def move_in_part(move_in: MoveIn, accounts: Accounts, who: Authenticator) -> MountedArea:
    """The page and its API."""
    return later(
        ("/admin/setup/move-in",),
        move_in_pages,
        lambda: move_in_pages.MoveInPages(move_in=move_in, setup=accounts.setup, browser=accounts.browser, who=who).app,
    )
