"""Confines bun as the installer: it may access the incoming folder, its cache and the network, but not the home."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

from parachute_hub.confinement.rules import SYSTEM_FOLDERS, Confines, Rules, readable_of
from parachute_hub.modules.launch.environment import BaseEnvironment
from parachute_hub.system.records import frozen

_FILE_BYTES = 2 << 30
_OOM_SCORE = 800

_SCRIPTS = str(Path(__file__).parent)


@frozen(kw_only=True)
class InstallerFence:
    """`modules` is BUN_INSTALL and `scratch` TMPDIR. `settings` is HOME, which may hold a registry's key (.npmrc)."""

    confiner: Confines
    modules: Path
    scratch: Path
    settings: Path

    @classmethod
    def of(cls, confiner: Confines | None, around: BaseEnvironment) -> Self | None:
        """The fence of this hub; None if nothing can be confined."""
        if confiner is None:
            return None
        return cls(confiner=confiner, modules=around.modules, scratch=around.scratch, settings=around.installer)

    def start(
        self, folder: Path, bun: Path, argv: Sequence[str], environment: Mapping[str, str], spawn: Callable[[], int]
    ) -> None:
        """Start bun for one run in `folder`. Raises NotConfined, and whatever `spawn` raises."""
        self.confiner.start(self.rules(folder, bun, argv, environment), spawn)

    def rules(self, folder: Path, bun: Path, argv: Sequence[str], environment: Mapping[str, str]) -> Rules:
        """The rules of one run. A local package is the path in the last argument."""
        own = [self.settings / name for name in (".npmrc", ".bunfig.toml")]
        named = [value for value in (*argv, *environment.values()) if os.path.isabs(value) and Path(value).is_file()]
        cache = self.modules / "install" / "cache"
        for needed in (cache, self.scratch):
            if not needed.is_dir():
                needed.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Rules(
            # bun lists the folder of a script before it reads the script.
            reads=(*SYSTEM_FOLDERS, *readable_of(str(bun)), _SCRIPTS, *map(str, own), *named),
            writes=tuple(map(str, (folder, cache, self.scratch))),
            bind=(),
            connect=None,
            change_modes=True,
            file_bytes=_FILE_BYTES,
            oom_score=_OOM_SCORE,
        )
