"""What a module's author says about sleep: `idle` in module.json."""

import re
from typing import Any, Self

from parachute_hub.modules.definition import validation
from parachute_hub.modules.definition.validation import Invalid
from parachute_hub.system.records import frozen

_DURATION = re.compile(r"([1-9][0-9]{0,3})m|([1-9][0-9]?)h")
_MOST = 10


@frozen(kw_only=True)
class Idle:
    """`minutes` without use after which it can sleep, None if the author names none. `wake_for` is work that keeps it
    awake, in words for the owner.
    """

    minutes: int | None = None
    wake_for: tuple[str, ...] = ()

    @classmethod
    def parse(cls, value: object, at: str = "idle") -> Self:
        """Parse the JSON value. Raises Invalid.

        >>> Idle.parse({"sleep": "2h", "wakeFor": ["transcription"]})
        Idle(minutes=120, wake_for=('transcription',))
        """
        raw = validation.mapping(value, at)
        sleep, work = raw.get("sleep"), raw.get("wakeFor")
        wake_for = () if work is None else validation.texts(work, f"{at}.wakeFor")
        if len(wake_for) > _MOST:
            raise Invalid(f"{at}.wakeFor", f"must be at most {_MOST} strings")
        return cls(minutes=None if sleep is None else _minutes(sleep, f"{at}.sleep"), wake_for=wake_for)

    def to_json(self) -> dict[str, Any]:
        """The API representation."""
        return {"minutes": self.minutes, "wake_for": list(self.wake_for)}


def _minutes(value: object, at: str) -> int:
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise Invalid(at, "must be minutes or hours such as 10m or 2h")
    return int(found[1]) if found[1] else int(found[2]) * 60
