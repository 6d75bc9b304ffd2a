"""The start in stages: what can be answered first is made first, and the rest is loaded meanwhile.

A hub without an owner asks the wizard's first question before it has loaded anything of modules and issuer. Any other
starts its modules before it composes the site. All of it takes half a second; /health is answered in the meantime.
"""

import time
from types import ModuleType
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from parachute_hub.accounts.setup.public_origin import Configured, HubOrigin
from parachute_hub.app.context import ProcessContext
from parachute_hub.app.foundation import Foundation
from parachute_hub.migration.home import is_older
from parachute_hub.modules.state.disk_space import Disk, Reserve
from parachute_hub.store.audit import Audit
from parachute_hub.store.database import Database, DatabaseTooNew, DatabaseUnusable
from parachute_hub.store.settings import StoredSettings
from parachute_hub.store.users import Users
from parachute_hub.system import heap, loading
from parachute_hub.system.executors import WriterThread
from parachute_hub.system.home import DATABASE, HomeTooNew
from parachute_hub.system.loading import lazily

with lazily():
    from parachute_hub.accounts import static_files
    from parachute_hub.accounts.setup import pages as setup_pages
    from parachute_hub.app import compose, elsewhere, entrance, runtime

if TYPE_CHECKING:
    from parachute_hub.app.composition import Composition

# A start takes half a second, unless an operation that was interrupted has to be undone first.
KEPT_SECONDS = 5.0
_log = Logger()


async def start(core: ProcessContext) -> "Composition":
    """The composed hub, whose modules run."""
    # SQLite can only open where it can write, so release the disk reserve first.
    reserve = Reserve(Disk(core.settings.home), lambda text: _log.warn("{text}", text=text))
    reserve.check()
    try:
        database = Database.open(
            core.settings.home / DATABASE, executor=WriterThread(core.reactor, "database"), on_full=reserve.make_room
        )
    except DatabaseTooNew as error:
        raise HomeTooNew(str(error)) from None
    except DatabaseUnusable as error:
        await _loaded(core, runtime, compose)
        return await compose.without_database(core, error)
    core.phase.database = lambda: _describe(database)
    settings = core.settings
    configured = Configured(origin=settings.origin, source=settings.origin_source, local=settings.local_origins)
    on = Foundation(
        database=database,
        origin=HubOrigin(
            StoredSettings(database), database.write, configured, note=Audit(database).note, clock=time.time
        ),
        is_set_up=Users(database).count() > 0 or is_older(settings.home),
    )
    return await (_modules_first(core, on) if on.is_set_up else _question_first(core, on))


async def _modules_first(core: ProcessContext, on: Foundation) -> "Composition":
    """Requests wait meanwhile, those of the modules too. If it takes long, they are told that the hub starts."""
    kept = _keep(core)
    try:
        await _start_modules(core, on)
        if kept.active():
            kept.cancel()
        # They ask the hub as soon as they run, however long it took until they could start.
        kept = _keep(core)
        await _loaded(core, entrance, compose)
        return await compose.compose(core, on, entrance.build_entrance(core, on))
    finally:
        if kept.active():
            # In the next turn: then the hub is up, or says that it failed.
            kept.reset(0)


def _keep(core: ProcessContext) -> IDelayedCall:
    """Let requests wait, until the returned call is made."""
    core.front.keep(True)
    call: IDelayedCall = core.reactor.callLater(KEPT_SECONDS, core.front.keep, False)
    return call


async def _question_first(core: ProcessContext, on: Foundation) -> "Composition":
    asks = () if core.settings.initial_admin is not None else (setup_pages, static_files)
    await _loaded(core, entrance, *asks)
    entered = entrance.build_entrance(core, on)
    await entrance.boot_accounts(core, entered.accounts)
    wizard = entrance.ask_first_question(core, entered.accounts) if entered.accounts.gate.closed else None
    try:
        await _start_modules(core, on)
        await _loaded(core, compose)
        return await compose.compose(core, on, entered)
    finally:
        if wizard is not None:
            core.reactor.callLater(0, wizard.go_on, core.root)


async def _start_modules(core: ProcessContext, on: Foundation) -> None:
    await _loaded(core, runtime)
    engine = on.engine.keep(runtime.build_engine(core, on.origin))
    elsewhere.introduce(engine.elsewhere, on.oauth)
    await runtime.start_modules(core, engine)


async def _loaded(core: ProcessContext, *code: ModuleType) -> None:
    """Load it in a thread; requests are answered in the meantime."""

    def load() -> None:
        loading.load(*code)
        heap.keep_loaded()

    await deferToThreadPool(core.reactor, core.reactor.getThreadPool(), load)


def _describe(database: Database) -> str:
    trouble = database.trouble()
    return "ok" if trouble is None else f"error: {trouble}"
