from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.supervise.memory.processor import ProcessorUse


class ProcessorTests(SynchronousTestCase):
    def test_share_and_total_over_two_lives(self) -> None:
        """The total goes on when a new process begins at 0, and does not fall when a helper process ends."""
        use = ProcessorUse()
        for now, session, reading, share, total in (
            (10.0, 1, 0.5, 0.0, 0.5),
            (12.0, 1, 1.5, 0.5, 1.5),
            (14.0, 1, 1.2, 0.0, 1.5),
            (16.0, 1, 1.4, 0.1, 1.7),
            (18.0, 2, 0.3, 0.0, 2.0),
            (20.0, 2, 4.3, 2.0, 6.0),
        ):
            use.add(now, session, reading)
            self.assertAlmostEqual(use.share, share, msg=str(now))
            self.assertAlmostEqual(use.seconds, total, msg=str(now))
