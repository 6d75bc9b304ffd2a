"""What a proxied request costs, in calls of Python functions: the same on every machine, and no more in a large hub."""

import sys

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.proxy.access_log import AccessLog
from parachute_hub.proxy.routes import Mount
from tests.support.sockets import Rig, get, ok

MOST_CALLS = 40


def calls(rig: Rig) -> int:
    """Calls of Python functions for a request that came before, and its answer; without those of the test's sockets."""
    client = rig.ask(get("/notes/"))
    module = rig.modules.newest
    module.deliver(ok())
    counted = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal counted
        counted += event == "call" and "/parachute_hub/" in frame.f_code.co_filename  # type: ignore[attr-defined]

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        client.deliver(get("/notes/"))
        module.deliver(ok())
    finally:
        sys.setprofile(before)
    return counted


class CostTests(SynchronousTestCase):
    def rig(self, modules: int = 0, idle: int = 0) -> Rig:
        mounts = [Mount(f"other{number}", b"/other/%d" % number, 3000 + number) for number in range(modules)]
        log = AccessLog("combined", str, lambda text: None)
        rig = Rig((*mounts, Mount("notes", b"/notes", 2001)), access_log=log)
        for number in range(idle):
            rig.client(f"10.0.{number % 200}.1")
        return rig

    def test_a_request_is_few_calls(self) -> None:
        self.assertLessEqual(calls(self.rig()), MOST_CALLS)

    def test_other_modules_and_idle_clients_add_none(self) -> None:
        usual = calls(self.rig())
        self.assertEqual(calls(self.rig(modules=100)), usual)
        self.assertEqual(calls(self.rig(idle=1000)), usual)
