"""Hears of acts in place of the audit log."""

from attrs import define, field


@define
class HeardActs:
    """`done` is a `system.doer.Done`; `acts` are the actions with their subjects, oldest first."""

    acts: list[tuple[str, str]] = field(factory=list)

    async def done(self, action: str, subject: str = "") -> None:
        """Never raises."""
        self.acts.append((action, subject))
