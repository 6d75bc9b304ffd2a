"""The answer of an installed version that a running hub asks whether it would start (`app.proving`)."""

import json
from importlib import import_module

from parachute_hub import __version__
from parachute_hub.app.handover import FORMAT
from parachute_hub.app.proving import NotProven
from parachute_hub.settings import Settings
from parachute_hub.store import newer, rehearsal
from parachute_hub.store.database import DatabaseUnusable
from parachute_hub.system import loading
from parachute_hub.system.home import DATABASE


def answer(settings: Settings) -> str:
    """What the running hub reads. Reads the home, and tries migrations on a copy. Raises NotProven."""
    database, hub_folder = settings.home / DATABASE, settings.home / "hub"
    why = newer.too_new(database, hub_folder / newer.NOTE)
    if why is not None:
        raise NotProven(why)
    import_module("parachute_hub.app.stages")
    loading.load_all()
    try:
        rehearsal.rehearse(database, settings.home / "tmp")
    except (DatabaseUnusable, OSError) as error:
        raise NotProven(f"Its changes to the database fail on a copy: {error}") from None
    return json.dumps({"version": __version__, "format": FORMAT})
