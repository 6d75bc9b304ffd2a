"""The pictures of the documentation: each is shown somewhere, with words for who does not see it, and is small."""

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "pictures"
LARGEST = 60 * 1024
SHOWN = re.compile(r"!\[([^\]]*)\]\((?!https?:)([^)]+)\)")


class PictureTests(SynchronousTestCase):
    def test_each_is_shown_with_words_and_small(self) -> None:
        """They are made by `python -m tests.browser.pictures` and `.terminal_pictures`."""
        shown: set[Path] = set()
        for page in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")):
            for words, place in SHOWN.findall(page.read_text()):
                picture = (page.parent / place).resolve()
                self.assertTrue(picture.is_file() and len(words) > 10, f"{page.name}: {place}")
                self.assertLess(picture.stat().st_size, LARGEST, place)
                shown.add(picture)
        self.assertEqual(set(FOLDER.iterdir()), shown)
