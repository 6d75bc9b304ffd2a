from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.proxy.backlog import MODEST, Backlog, Holding

READER = Holding(MODEST)


class BacklogTests(SynchronousTestCase):
    def backlog(self, most: int = 4 * MODEST, share: float = 1.0) -> Backlog[str]:
        return Backlog(most_bytes=most, share=share, patience=90.0)

    def fill(self, backlog: Backlog[str], *members: str) -> None:
        """One reader each, a second after the other; the first letter is the address."""
        for at, member in enumerate(members):
            backlog.add(member, member[0], READER, float(at))

    def test_nobody_goes_while_there_is_room(self) -> None:
        backlog = self.backlog()
        self.fill(backlog, "a1", "a2", "a3", "b1")
        self.assertIsNone(backlog.excess("b", 4.0, shared=False))

    def test_the_longest_stalled_of_the_heaviest_address_goes(self) -> None:
        backlog = self.backlog()
        self.fill(backlog, "phone", "b1", "b2", "c1", "d1")
        self.assertEqual(backlog.excess("d", 5.0, shared=False), "b1")

    def test_while_nobody_holds_much_the_newcomer_goes(self) -> None:
        """Whoever was there before has done nothing wrong."""
        backlog = self.backlog()
        self.fill(backlog, "phone", "b1", "c1", "d1", "e1")
        self.assertEqual(backlog.excess("e", 5.0, shared=False), "e1")

    def test_the_last_goes_for_whom_a_kernel_holds_much(self) -> None:
        """A module's kernel may hold 1 MB for any reader, so that nobody is to blame for it. Who came first stays."""
        backlog = self.backlog(most=16 * MODEST)
        backlog.add("upload", "u", Holding(32 * 1024), 0.0)
        for at, member in enumerate(("phone", "slow", "b1", "c1"), 1):
            backlog.add(member, member[0], READER, float(at))
        backlog.add("quiet", "q", Holding(32 * 1024, patient=True), 6.0)
        # It takes a little and stalls again.
        backlog.remove("slow")
        backlog.add("slow", "s", READER, 6.5)
        for member in ("phone", "b1", "c1", "slow"):
            backlog.measured(member, Holding(5 * MODEST, marker=member == "slow"), 7.0)
        self.assertEqual(backlog.members[0], "upload")
        for expected in ("c1", None):
            victim = backlog.excess("upload"[0], 7.0, shared=False)
            self.assertEqual(victim, expected)
            if victim is not None:
                backlog.forget(victim)
        backlog.forget("b1")
        self.assertEqual(set(backlog.members), {"upload", "phone", "slow", "quiet"})

    def test_many_who_hold_little_do_not_drive_out_one_for_whom_a_kernel_holds_much(self) -> None:
        """Heads, requests sent ahead and uploads that stall, each from an address of its own."""
        backlog = self.backlog(most=16 * MODEST)
        backlog.add("phone", "p", Holding(3 * MODEST), 0.0)
        crowd = [f"b{number}" for number in range(130)]
        for member in crowd:
            backlog.add(member, member, Holding(MODEST // 8), 1.0)
            while (victim := backlog.excess(member, 1.0, shared=False)) is not None:
                backlog.forget(victim)
        self.assertEqual(set(backlog.members), {"phone", *crowd[:104]})

    def test_who_holds_little_does_not_go_for_another_of_the_address(self) -> None:
        backlog = self.backlog()
        backlog.add("b-flows", "b", Holding(8 * 1024), 0.0)
        self.fill(backlog, "b1", "b2", "b3", "b4", "b5")
        self.assertEqual(backlog.excess("b", 6.0, shared=True), "b1")

    def test_an_address_is_blamed_for_those_that_were_cut_off(self) -> None:
        """It comes again and again, and would otherwise hold no more than a phone that pauses."""
        backlog = self.backlog()
        self.fill(backlog, "phone", "b1", "c1", "d1", "e1")
        backlog.cut("e1", 5.0)
        backlog.add("e2", "e", READER, 6.0)
        self.assertEqual(backlog.excess("e", 6.0, shared=False), "e2")
        backlog.cut("e2", 6.0)
        backlog.cut("d1", 6.0)
        backlog.add("d2", "d", READER, 7.0)
        backlog.add("honest", "h", READER, 8.0)
        self.assertEqual(backlog.excess("h", 8.0, shared=False), "d2")

    def test_blame_is_forgotten(self) -> None:
        backlog = self.backlog()
        self.fill(backlog, "b1")
        backlog.cut("b1", 0.0)
        self.fill(backlog, "b2", "c1", "d1", "e1", "f1")
        self.assertEqual(backlog.excess("f", 5.0, shared=False), "b2")
        for member in ("b2", "c1", "d1", "e1", "f1"):
            backlog.remove(member)
        for at, member in enumerate(("b3", "c3", "d3", "e3", "f3")):
            backlog.add(member, member[0], Holding(MODEST - 1024), 3600.0 + at)
        self.assertEqual(backlog.held, 5 * (MODEST - 1024))
        backlog.add("g3", "g", READER, 3605.0)
        self.assertEqual(backlog.excess("g", 3605.0, shared=False), "g3")

    def test_who_left_altogether_is_forgiven(self) -> None:
        backlog = self.backlog()
        self.fill(backlog, "b1", "c1", "c2", "d1", "e1")
        for member in ("b1", "c1"):
            backlog.cut(member, 5.0)
        backlog.forgive()
        for at, member in enumerate(("b3", "c3")):
            backlog.add(member, member[0], Holding(MODEST // 2), 6.0 + at)
        self.assertEqual(backlog.excess("c", 8.0, shared=False), None)
        backlog.add("f1", "f", READER, 9.0)
        self.assertEqual(backlog.excess("f", 9.0, shared=False), "c2")

    def test_above_the_budget_who_pauses_for_long_goes_first(self) -> None:
        """Except a WebSocket, which may be silent."""
        backlog = self.backlog()
        backlog.add("socket", "a", Holding(1024, patient=True), 0.0)
        self.fill(backlog, "phone", "b1", "b2", "c1", "d1")
        self.assertEqual(backlog.excess("d", 89.0, shared=False), "b1")
        self.assertEqual(backlog.excess("d", 91.0, shared=False), "phone")

    def test_one_that_moves_is_the_last_to_go(self) -> None:
        backlog = self.backlog()
        self.fill(backlog, "a1", "a2")
        self.assertTrue(backlog.measured("a1", Holding(MODEST, marker=7), 20.0))
        self.assertFalse(backlog.measured("a2", READER, 20.0))
        self.assertFalse(backlog.measured("gone", READER, 20.0))
        self.fill(backlog, "b1", "c1", "d1")
        self.assertEqual((backlog.members[0], backlog.excess("d", 21.0, shared=True)), ("a2", "a2"))

    def test_an_address_has_a_share_once_the_budget_is_half_used(self) -> None:
        """One that stands for many people has none, and a single client may be large."""
        backlog = self.backlog(share=0.25)
        self.fill(backlog, "a1", "a2")
        self.assertIsNone(backlog.excess("a", 3.0, shared=False))
        self.fill(backlog, "b1")
        self.assertEqual(backlog.excess("a", 3.0, shared=False), "a1")
        self.assertIsNone(backlog.excess("a", 3.0, shared=True))
        self.assertIsNone(backlog.excess("b", 3.0, shared=False))
        single = self.backlog(share=0.25)
        single.add("a1", "a", Holding(3 * MODEST), 0.0)
        self.assertIsNone(single.excess("a", 1.0, shared=False))

    def test_where_connections_are_scarce_the_address_that_has_most_pays(self) -> None:
        """However little they hold. The first letter is the address."""
        for members, more_than, expected in (
            ((), 0, None),
            (("phone",), 0, "phone"),
            (("phone",), 1, None),
            (("phone", "b1", "b2", "c1"), 0, "b1"),
            (("phone", "b1", "b2", "c1"), 1, "b1"),
            (("phone", "b1", "b2", "c1"), 2, None),
            # Who stalls longest, where nobody has more than others.
            (("phone", "b1", "c1"), 0, "phone"),
            (("b1", "c1", "c2", "b2", "phone"), 0, "b1"),
        ):
            backlog = self.backlog()
            for at, member in enumerate(members):
                backlog.add(member, member[0], Holding(5 * MODEST if member == "phone" else 1), float(at))
            self.assertEqual(backlog.of_the_most(more_than), expected, (members, more_than))

    def test_of_those_that_have_most_the_one_that_moved_stays(self) -> None:
        backlog = self.backlog()
        self.fill(backlog, "b1", "c1", "b2", "c2")
        backlog.measured("b1", Holding(MODEST, marker=1), 5.0)
        self.assertEqual(backlog.of_the_most(0), "c1")

    def test_known_ones_keep_their_time(self) -> None:
        backlog = self.backlog()
        self.fill(backlog, "a1", "b1")
        backlog.add("a1", "a", Holding(30), 2.0)
        self.assertEqual((backlog.members, backlog.held, len(backlog)), (("a1", "b1"), MODEST + 30, 2))

    @settings(max_examples=100, derandomize=True, deadline=None)
    @given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3), st.integers(0, 400), st.booleans()), max_size=60))
    def test_the_books_balance_and_the_budget_holds(self, steps: list[tuple[int, int, int, bool]]) -> None:
        """Whatever comes and goes: what is held is the sum, and after each step no more than the budget."""
        backlog: Backlog[int] = Backlog(most_bytes=1000, share=0.5, patience=20.0)
        sizes: dict[int, int] = {}
        for now, (member, address, size, leaves) in enumerate(steps):
            if leaves:
                backlog.remove(member)
                sizes.pop(member, None)
            else:
                backlog.add(member, str(address), Holding(size), float(now))
                sizes[member] = size
            while (victim := backlog.excess(str(address), float(now), shared=False)) is not None:
                backlog.cut(victim, float(now))
                del sizes[victim]
            self.assertEqual((backlog.held, set(backlog.members)), (sum(sizes.values()), set(sizes)))
            self.assertLessEqual(backlog.held, 1000)
