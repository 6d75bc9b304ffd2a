"""Undoing a job, also twice, also after a kill in the middle."""

from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.modules.operations.compensation import UndoHandlers
from parachute_hub.modules.state.data_swap import DataSwap
from parachute_hub.modules.state.snapshots import Snapshots
from tests.modules.homes import Home, at_once, write
from tests.support.supervising import FakeSupervisor


class Deleting(SynchronousTestCase):
    """Data is set aside before it is deleted, and comes back until the job has finished."""

    def setUp(self) -> None:
        home = Home(self.mktemp())
        self.place, self.aside = home.path / "toy", home.path / "aside"
        self.undoing = UndoHandlers(
            directory=home.directory,
            snapshots=Snapshots(home=home.path, folder=home.path / "hub" / "snapshots", free_bytes=lambda: 1 << 40),
            swap=DataSwap(home=home.path, folder=home.path / "hub" / "snapshots"),
            supervisor=FakeSupervisor(),
            in_thread=at_once,
        )

    def undo(self) -> None:
        put_back = self.undoing.handlers()["put_back"]
        given = {"place": str(self.place), "aside": str(self.aside)}
        self.successResultOf(Deferred.fromCoroutine(put_back(given)))  # type: ignore[arg-type]

    def test_it_comes_back_once(self) -> None:
        write(self.aside, {"note": "mine"})
        self.undo()
        self.undo()
        self.assertEqual((self.place / "note").read_text(), "mine")

    def test_what_was_never_set_aside_stays(self) -> None:
        write(self.place, {"note": "mine"})
        self.undo()
        self.assertEqual((self.place / "note").read_text(), "mine")

    def test_nothing_newer_is_overwritten(self) -> None:
        write(self.place, {"note": "newer"})
        write(self.aside, {"note": "mine"})
        self.undo()
        self.assertEqual((self.place / "note").read_text(), "newer")
        self.assertTrue(Path(self.aside).is_dir())
