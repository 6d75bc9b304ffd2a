"""The accounts' templates, and their notices."""

from twisted.web.template import Tag, tags

from parachute_hub.site.pages import templates

fill = templates("parachute_hub.accounts")


def notice(text: str, kind: str = "good") -> Tag:
    """A sentence in a colored box: `good`, `busy` or `bad`."""
    return tags.p(text, class_=f"message {kind}", role="status")
