"""A module's use of the processor, from readings of its processes' counters."""

from attrs import define, field


@define
class ProcessorUse:
    """`seconds` of processor time in all its lives, and `share` of one processor between the last two readings."""

    seconds: float = 0.0
    share: float = 0.0
    _session: int | None = field(default=None, init=False)
    _at: float = field(default=0.0, init=False)
    _reading: float = field(default=0.0, init=False)

    def add(self, now: float, session: int, reading: float) -> None:
        """Note a reading in seconds. It starts at 0 in a new session, and may fall when a process of it ends."""
        again = session == self._session
        more = max(0.0, reading - (self._reading if again else 0.0))
        if again and now > self._at:
            self.share = more / (now - self._at)
        else:
            self.share = 0.0
        self.seconds += more
        self._session, self._at, self._reading = session, now, reading
