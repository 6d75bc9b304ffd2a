from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.proxy.backlog import Backlog


class BacklogTests(SynchronousTestCase):
    def backlog(self, most: int = 4, most_bytes: int = 1000, share: float = 1.0) -> Backlog[str]:
        return Backlog(most=most, most_bytes=most_bytes, share=share)

    def test_the_longest_stalled_of_the_heaviest_address_goes(self) -> None:
        backlog = self.backlog()
        for at, (member, address) in enumerate((("phone", "a"), ("x1", "b"), ("x2", "b"), ("y1", "c"))):
            backlog.add(member, address, 10, float(at))
        self.assertIsNone(backlog.excess("b", shared=False))
        backlog.add("x3", "b", 10, 9.0)
        self.assertEqual(backlog.excess("b", shared=False), "x1")
        backlog.remove("x1")
        self.assertIsNone(backlog.excess("b", shared=False))

    def test_one_that_moves_is_the_last_to_go(self) -> None:
        """However slowly: less is held for it than before."""
        backlog = self.backlog(most_bytes=100)
        backlog.add("slow", "a", 50, 0.0)
        backlog.add("silent", "a", 50, 5.0)
        backlog.measured("slow", 49, 20.0)
        backlog.measured("silent", 50, 20.0)
        backlog.measured("gone", 1, 20.0)
        backlog.add("another", "a", 50, 21.0)
        self.assertEqual((backlog.members[0], backlog.excess("a", shared=True)), ("silent", "silent"))

    def test_an_address_has_a_share(self) -> None:
        """In number and in bytes; one that stands for many people has none."""
        for most, size in ((4, 10), (100, 300)):
            with self.subTest(f"{most} of {size} bytes"):
                backlog = self.backlog(most=most, share=0.5)
                for member in ("a1", "a2", "a3"):
                    backlog.add(member, "a", size, 0.0)
                self.assertIsNone(backlog.excess("a", shared=True))
                self.assertEqual(backlog.excess("a", shared=False), "a1")
                self.assertIsNone(backlog.excess("b", shared=False))

    def test_known_ones_keep_their_time(self) -> None:
        backlog = self.backlog()
        backlog.add("a1", "a", 10, 0.0)
        backlog.add("b1", "b", 10, 1.0)
        backlog.add("a1", "a", 30, 2.0)
        self.assertEqual((backlog.members, backlog.held, len(backlog)), (("a1", "b1"), 40, 2))

    @settings(max_examples=200, derandomize=True, deadline=None)
    @given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3), st.integers(0, 400), st.booleans()), max_size=60))
    def test_the_books_balance_and_the_budget_holds(self, steps: list[tuple[int, int, int, bool]]) -> None:
        """Whatever comes and goes: what is held is the sum, and after each step no more than the budget."""
        backlog: Backlog[int] = Backlog(most=4, most_bytes=1000, share=0.5)
        sizes: dict[int, int] = {}
        for now, (member, address, size, leaves) in enumerate(steps):
            if leaves:
                backlog.remove(member)
                sizes.pop(member, None)
            else:
                backlog.add(member, str(address), size, float(now))
                sizes[member] = size
            while (victim := backlog.excess(str(address), shared=False)) is not None:
                backlog.remove(victim)
                del sizes[victim]
            self.assertEqual((backlog.held, set(backlog.members)), (sum(sizes.values()), set(sizes)))
            self.assertLessEqual(len(sizes), 4)
            self.assertLessEqual(backlog.held, 1000)
