import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

_PROGRAM = """
import os, sys
from parachute_hub.system.streams import complete_streams
complete_streams()
print("nobody reads this")
print("nor this", file=sys.stderr)
with open(sys.argv[1], "w") as file:
    kept = [os.stat("/dev/null").st_rdev == os.fstat(number).st_rdev for number in range(3)]
    file.write(f"{sys.stdin.read()!r} {kept} {file.fileno() > 2}")
"""


class StreamTests(SynchronousTestCase):
    def test_what_is_closed_takes_no_file(self) -> None:
        told = Path(self.mktemp()).absolute()
        for closed, kept in (("<&- >&- 2>&-", "[True, True, True]"), ("<&-", "[True, False, False]")):
            words = ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-c", _PROGRAM, str(told)]
            subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=120)
            self.assertEqual(told.read_text(), f"'' {kept} True")
