"""What each module may use, kept until its record changes: the memory guard asks every two seconds."""

from attrs import field

from parachute_hub.modules.state.directory import ModuleDirectory
from parachute_hub.modules.state.records import Record
from parachute_hub.supervise.model import Allowance
from parachute_hub.system.records import define


@define
class KnownAllowances:
    """`ModuleDirectory.allowance` without reading manifests each time. An upgrade changes the record; what is in a
    linked folder may change at any time.
    """

    directory: ModuleDirectory
    _known: dict[str, tuple[Record, Allowance]] = field(factory=dict, init=False)

    def of(self, short: str) -> Allowance:
        record = self.directory.records.get(short)
        known = self._known.get(short)
        if known is not None and known[0] is record and not record.linked:
            return known[1]
        allowance = self.directory.allowance(short)
        self._known[short] = (record, allowance)
        return allowance
