"""Modules made for a test, which are loaded late."""

import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.system import loading


class LateCase(SynchronousTestCase):
    """A folder of modules to import."""

    def written(self, files: Mapping[str, str]) -> None:
        folder = Path(self.mktemp())
        folder.mkdir()
        for name, text in files.items():
            (folder / f"{name}.py").write_text(text)
        sys.path.insert(0, str(folder.resolve()))
        self.addCleanup(sys.path.remove, str(folder.resolve()))
        self.addCleanup(lambda: [sys.modules.pop(name, None) for name in files])

    def late(self, name: str) -> ModuleType:
        with loading.lazily():
            return __import__(name)
