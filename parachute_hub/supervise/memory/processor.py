"""A module's use of the processor, from readings of its processes' counters."""

from attrs import field

from parachute_hub.system.records import define


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


# A module may save up this many seconds of its share, and is stopped for at most this long at a time: it answers.
_SAVED = 1.0
_LONGEST = 0.5


@define
class ProcessorDebt:
    """Processor time that a module took beyond its share. `debt` is in seconds, negative for what it saved up."""

    debt: float = 0.0
    _at: float | None = field(default=None, init=False)
    _reading: float = field(default=0.0, init=False)

    def pause(self, now: float, reading: float, share: float) -> float:
        """The seconds for which it must stand still, from a reading of its counter; 0 while it keeps to its `share`.

        >>> debt = ProcessorDebt()
        >>> debt.pause(0.0, 10.0, 0.5), debt.pause(0.1, 10.1, 0.5)
        (0.0, 0.1)
        """
        if self._at is not None:
            taken = max(0.0, reading - self._reading) - share * (now - self._at)
            self.debt = max(-_SAVED * share, self.debt + taken)
        self._at, self._reading = now, reading
        return round(min(_LONGEST, self.debt / share), 3) if self.debt > 0 else 0.0
