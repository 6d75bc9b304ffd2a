"""Our front compared with h11: it may refuse more, but never sees other requests in the same bytes."""

import os
from itertools import chain

from twisted.trial.unittest import SynchronousTestCase

from tests.proxy.corpus import by_hand, generated
from tests.proxy.seeing import by_h11, by_us, for_modules, is_part

# The whole comparison takes 20,000; the daily one less.
COUNT = int(os.environ.get("PARACHUTE_CORPUS", "6000"))


class DifferentialTests(SynchronousTestCase):
    def test_same_requests_as_h11_or_fewer(self) -> None:
        passed = 0
        for raw in chain(by_hand(), generated(COUNT, seed=8)):
            ours = by_us(raw)
            # h11 does not ignore empty lines before a request, as RFC 9112, 2.2 wants it.
            theirs = for_modules(by_h11(raw.lstrip(b"\r\n")))
            self.assertTrue(is_part(ours, theirs), (raw, ours, theirs))
            passed += len(ours)
        self.assertGreater(passed, COUNT // 20, "most of the corpus says nothing")

    def test_the_corpus_is_large_enough(self) -> None:
        self.assertGreaterEqual(len(set(by_hand())), 300)
