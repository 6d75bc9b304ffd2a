from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.app.hub_log import HubLog
from parachute_hub.supervise.output.log_files import read_log
from parachute_hub.system.log_lines import LogQuery


class HubLogTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())

    def run_hub(self, at: float, *, stop: bool) -> None:
        """One life of a hub: a line before the home is its own, then its start, perhaps its end."""
        log = HubLog()
        log.keep(at, "info", "reading settings")
        log.open(self.folder, at + 1)
        log.mark(at + 1, "start", "It starts.")
        log.keep(at + 2, "error", "it broke\nTraceback")
        if stop:
            log.mark(at + 3, "stop", "It stopped.")

    def lines(self) -> list[str]:
        found = read_log(self.folder, "hub", LogQuery())
        assert found is not None
        return [line.mark or line.text for line in found]

    def test_lives_follow_each_other_in_the_file(self) -> None:
        for stop in (True, False, True):
            self.run_hub(0.0, stop=stop)
        life = ["reading settings", "start", "it broke", "Traceback"]
        after_a_kill = ["reading settings", "crash", *life[1:]]
        self.assertEqual(self.lines(), [*life, "stop", *life, *after_a_kill, "stop"])

    def test_without_a_folder_the_hub_goes_on(self) -> None:
        self.folder.write_text("in the way")
        self.run_hub(0.0, stop=True)
