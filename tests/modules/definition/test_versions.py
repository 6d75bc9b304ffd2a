"""Version ordering."""

import doctest

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.modules.definition import versions
from parachute_hub.modules.definition.versions import Version, is_newer, newest

# semver.org, section 11, and its neighbours
RISING = (
    "0.0.0-linked",
    "0.9.9",
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-alpha.beta",
    "1.0.0-beta",
    "1.0.0-beta.2",
    "1.0.0-beta.11",
    "1.0.0-rc.1",
    "1.0.0",
    "1.0.1",
    "1.2.0",
    "1.10.0",
    "2.0.0",
)


class Order(SynchronousTestCase):
    def test_every_pair_is_ordered_by_precedence(self) -> None:
        for place, older in enumerate(RISING):
            for newer in RISING[place + 1 :]:
                self.assertTrue(is_newer(newer, older), (newer, older))
                self.assertFalse(is_newer(older, newer), (newer, older))
            self.assertFalse(is_newer(older, older))

    def test_build_data_does_not_count(self) -> None:
        self.assertFalse(is_newer("1.0.0+2", "1.0.0+1"))

    def test_what_is_no_version_is_never_newer(self) -> None:
        for text in ("", "1.0", "latest", "01.0.0", "1.0.0-", "1.0.0-a..b", "x1.0.0", "1.0.0\n2", None):
            self.assertFalse(is_newer(text, "0.0.1"), text)
            self.assertFalse(is_newer("9.0.0", text), text)

    def test_the_newest_version_is_found(self) -> None:
        self.assertEqual(newest(["1.0.0-rc.1", None, "latest", "0.9.0"]), "1.0.0-rc.1")
        self.assertIsNone(newest(["x", None]))

    @settings(deadline=None, max_examples=100, derandomize=True)
    @given(st.text(alphabet="0123456789.-+abrcv", max_size=14))
    def test_parsing_never_fails(self, text: str) -> None:
        version = Version.parse(text)
        self.assertTrue(version is None or version.key == version.key)

    def test_examples_in_the_text(self) -> None:
        self.assertEqual(doctest.testmod(versions).failed, 0)
