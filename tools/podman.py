"""Podman where nothing is set up for it: no systemd, cgroup v1 next to v2, no CAP_SYS_RESOURCE. Shared by the
container tests (`tests/live/engine.py`) and `tools/fresh_machine.py`. Needs root, podman, crun and debootstrap.
Images and volumes are in a separate storage below the user's cache folder.
"""

import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile

from attrs import frozen

from tools.locks import locked

STORAGE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "parachute-hub"
# In a mount namespace with this, podman finds the controllers of cgroups v1 instead of the empty v2 beside them.
HIDE_UNIFIED = "if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi"
_DEBIAN_TOOLS = "/usr/local/sbin:/usr/sbin:/sbin"
# The official slim image leaves these out, now and when packages are added.
_NOT_IN_SLIM = ("usr/share/doc", "usr/share/info", "usr/share/lintian", "usr/share/locale", "usr/share/man")
# Of root in the image that is built.
_BUILDER_HOME = "/root"
_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")


class PodmanError(Exception):
    """A command failed; the text has the command and its output."""


@frozen
class Podman:
    """Runs podman commands. `within` enters their namespaces."""

    within: tuple[str, ...] = ("unshare", "--mount", "sh", "-c", f'{HIDE_UNIFIED}; exec "$@"', "sh")

    def try_run(self, *words: str, timeout: float = 3600.0) -> "subprocess.CompletedProcess[str]":
        """`podman WORDS`, whatever its exit status."""
        return self.command("podman", *words, timeout=timeout)

    def run(self, *words: str, timeout: float = 3600.0) -> str:
        """`podman WORDS`; its output without the final newline. Raises PodmanError."""
        done = self.try_run(*words, timeout=timeout)
        if done.returncode:
            raise PodmanError(f"podman {' '.join(words)}\n{(done.stdout + done.stderr)[-4000:]}")
        return done.stdout.removesuffix("\n")

    def command(self, *words: str, timeout: float = 3600.0) -> "subprocess.CompletedProcess[str]":
        """A command that runs podman by itself, such as podman-compose."""
        return subprocess.run(
            [*self.within, *words],
            env=_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )


def debian(
    image: str, suite: str, *, include: Sequence[str] = (), prepare: Callable[[Path], object] | None = None
) -> None:
    """Import Debian's minimal system as `image` if there is none. `prepare` may change its root before."""
    podman = Podman()
    with locked(STORAGE / "debian"):
        if podman.try_run("image", "exists", image).returncode == 0:
            return
        root, archive = STORAGE / f"debian-{suite}", STORAGE / f"debian-{suite}.tar"
        # What a killed run left.
        _remove(root)
        try:
            packages = [f"--include={','.join(include)}"] if include else []
            subprocess.run(
                ["debootstrap", "--variant=minbase", *packages, suite, str(root)],
                env=_environment(),
                check=True,
                stdout=subprocess.DEVNULL,
            )
            if prepare is not None:
                prepare(root)
            subprocess.run(["tar", "-C", str(root), "-cf", str(archive), "."], check=True)
            podman.run("import", str(archive), image)
        finally:
            archive.unlink(missing_ok=True)
            _remove(root)


def make_slim(root: Path) -> None:
    """Leave out what `debian:*-slim` leaves out."""
    for cached in (*root.glob("var/cache/apt/archives/*.deb"), *root.glob("var/lib/apt/lists/*_*")):
        cached.unlink()
    for left_out in _NOT_IN_SLIM:
        shutil.rmtree(root / left_out, ignore_errors=True)
    exclusions = "".join(f"path-exclude /{left_out}/*\n" for left_out in _NOT_IN_SLIM)
    (root / "etc/dpkg/dpkg.cfg.d/slim").write_text(exclusions)


def client_mounts() -> list[str]:
    """Arguments of `podman build` that give pip and bun in build steps this machine's certificates and settings.
    Podman passes proxy variables itself. A mount leaves an empty file in a layer, never its content.
    """
    trusted = "/run/authorities.crt"
    index = os.environ.get("PIP_INDEX_URL")
    registry = next((value for name, value in os.environ.items() if name.lower().endswith("_config_registry")), None)
    settings = {
        "/etc/pip.conf": f"[global]\ncert = {trusted}\n" + (f"index-url = {index}\n" if index else ""),
        f"{_BUILDER_HOME}/.bunfig.toml": f'[install]\ncafile = "{trusted}"\n'
        + (f'registry = "{registry}"\n' if registry else ""),
    }
    mounts = [f"--volume={_AUTHORITIES}:{trusted}:ro"] if _AUTHORITIES.exists() else []
    for target, text in settings.items() if mounts else ():
        path = STORAGE / Path(target).name.lstrip(".")
        _write(path, text)
        mounts.append(f"--volume={path}:{target}:ro")
    return mounts


def _environment() -> dict[str, str]:
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    configuration, storage = STORAGE / "containers.conf", STORAGE / "storage.conf"
    # Without CAP_SYS_RESOURCE podman cannot raise limits to its own defaults.
    _write(
        configuration,
        f'[containers]\ndefault_ulimits = ["nofile={files}:{files}", "nproc=4096:4096"]\n'
        '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\nruntime = "crun"\n'
        f'[network]\nnetwork_backend = "netavark"\nnetwork_config_dir = "{STORAGE / "networks"}"\n',
    )
    _write(
        storage,
        f'[storage]\ndriver = "overlay"\ngraphroot = "{STORAGE / "storage"}"\nrunroot = "/run/parachute-hub-podman"\n',
    )
    return {
        **os.environ,
        "PATH": f"{os.environ.get('PATH', os.defpath)}:{_DEBIAN_TOOLS}",
        "CONTAINERS_CONF": str(configuration),
        "CONTAINERS_STORAGE_CONF": str(storage),
        "NETAVARK_FW": "iptables",
    }


def _remove(root: Path) -> None:
    subprocess.run(["rm", "-rf", "--one-file-system", str(root)], check=True)


def _write(path: Path, text: str) -> None:
    """Atomically, because other processes read it."""
    if path.exists() and path.read_text() == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        file.write(text)
    os.replace(file.name, path)
