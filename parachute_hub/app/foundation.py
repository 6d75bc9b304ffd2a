"""What the start makes first, and what those who are made early find later."""

from typing import TYPE_CHECKING

from attrs import field

from parachute_hub.accounts.setup.public_origin import HubOrigin
from parachute_hub.app.late import Late
from parachute_hub.store.database import Database
from parachute_hub.system.records import frozen

if TYPE_CHECKING:
    from parachute_hub.app.runtime import ModuleRuntime
    from parachute_hub.oauth.assemble import OAuth


@frozen(kw_only=True)
class Foundation:
    """The database and the hub's address. `is_set_up` is true if there were accounts when the hub started.

    `engine` and `oauth` are there once they were loaded.
    """

    database: Database
    origin: HubOrigin
    is_set_up: bool
    engine: "Late[ModuleRuntime]" = field(factory=Late)
    oauth: "Late[OAuth]" = field(factory=Late)
