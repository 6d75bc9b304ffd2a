"""Which way is open, in `<home>/hub/reach/state.json`: written before anything is changed, so that it can be undone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from attrs import asdict, field
from attrs.validators import deep_mapping, in_, instance_of, optional
from twisted.logger import Logger

from parachute_hub.reach.ways import BY_ID, Way
from parachute_hub.system import strict_json
from parachute_hub.system.atomic_files import atomic_write, private_folder, read_bounded
from parachute_hub.system.records import frozen

FILE_LIMIT: Final = 64 * 1024
Stage: TypeAlias = Literal["opening", "open", "closing"]
_TEXT: Final = instance_of(str)
_log = Logger()


@frozen(kw_only=True)
class Record:
    """A way that is open, or was being opened or closed when the hub stopped.

    `origin` is the address that it gave, "" while that is not known; `before` the owner's choice from before, None
    for none. `began`: it was this hub that switched something on. `made_tunnel`: and that created the named tunnel.
    """

    way_id: str = field(validator=in_(BY_ID))
    choices: Mapping[str, str] = field(validator=deep_mapping(_TEXT, _TEXT, instance_of(dict)))
    before: str | None = field(validator=optional(_TEXT))
    at: float = field(validator=instance_of((int, float)))
    stage: Stage = field(default="opening", validator=in_(("opening", "open", "closing")))
    origin: str = field(default="", validator=_TEXT)
    began: bool = field(default=False, validator=instance_of(bool))
    made_tunnel: bool = field(default=False, validator=instance_of(bool))

    @property
    def way(self) -> Way:
        return BY_ID[self.way_id]


class ReachFile:
    """The file. All methods block."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / "state.json"

    def read(self) -> Record | None:
        """The record; None if no way is open. A damaged one counts as none, and is reported."""
        try:
            told: Any = strict_json.read(read_bounded(self._path, FILE_LIMIT), limit=FILE_LIMIT).value
            return Record(**told)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            _log.error("Which way to this hub is open cannot be read: {why}", why=str(error))
            return None

    def write(self, record: Record | None) -> None:
        """Replace it; None if no way is open any more. Raises OSError."""
        if record is None:
            self._path.unlink(missing_ok=True)
            return
        private_folder(self.folder)
        atomic_write(self._path, strict_json.write(asdict(record)))

    def configure(self, way: Way, content: str) -> None:
        """The file that the program of a way reads. Raises OSError."""
        private_folder(self.folder)
        name = "Caddyfile" if way.program == "caddy" else "cloudflared.yml"
        atomic_write(self.folder / name, content.encode())
