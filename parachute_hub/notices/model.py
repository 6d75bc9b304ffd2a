"""What a notice says, and in which form each kind of destination takes it."""

from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias

from parachute_hub.system.records import frozen

Severity: TypeAlias = Literal["error", "warning", "info"]
SEVERITIES: Final[tuple[Severity, ...]] = ("error", "warning", "info")
"""The most serious first."""

_MARKS: Final[Mapping[str, tuple[int, str]]] = {
    "error": (4, "rotating_light"),
    "warning": (3, "warning"),
    "info": (2, "information_source"),
}
_RESOLVED: Final = (2, "white_check_mark")


@frozen(kw_only=True)
class Message:
    """One notice: the problem's headline and a link, and nothing else of the hub.

    `key` is the same for all notices of one problem, so that a newer one can take the place of an older one.
    """

    key: str
    headline: str
    severity: Severity
    link: str
    resolved: bool = False

    @property
    def title(self) -> str:
        """The headline, in past tense as it were."""
        return f"Resolved: {self.headline}" if self.resolved else self.headline

    @property
    def body(self) -> str:
        """A sentence below it."""
        if self.resolved:
            return "Your Parachute hub is fine again in this respect."
        return "Your Parachute hub says why, and what helps."


def test_message(link: str) -> Message:
    """What the Test button sends."""
    return Message(key="test", headline="Notices of your Parachute hub arrive here", severity="info", link=link)


def farewell(link: str) -> Message:
    """What a destination is told when it is removed."""
    headline = "This destination gets no more notices of your Parachute hub"
    return Message(key="removed", headline=headline, severity="warning", link=link)


def newcomer(label: str, link: str) -> Message:
    """What the other destinations are told when one is added."""
    headline = f"Notices of your Parachute hub now also go to {label}"
    return Message(key="added", headline=headline, severity="warning", link=link)


def for_ntfy(message: Message, topic: str) -> dict[str, Any]:
    """Publishing as JSON (docs.ntfy.sh)."""
    priority, tag = _RESOLVED if message.resolved else _MARKS[message.severity]
    return {
        "topic": topic,
        "title": message.title,
        "message": message.body,
        "priority": priority,
        "tags": [tag],
        "click": message.link,
    }


def for_webhook(message: Message, at: str) -> dict[str, Any]:
    """For programs; `text` and `content` are what Slack, Mattermost and Discord show."""
    words = f"{message.title} {message.link}"
    return {
        "event": "resolved" if message.resolved else "problem",
        "key": message.key,
        "title": message.title,
        "severity": message.severity,
        "link": message.link,
        "at": at,
        "text": words,
        "content": words,
    }


def for_browser(message: Message) -> dict[str, Any]:
    """What the service worker of the admin app shows."""
    return {"title": message.title, "body": message.body, "link": message.link, "tag": message.key}
