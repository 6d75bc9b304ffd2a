"""Reads a Dockerfile and a .dockerignore: the instructions that ours use, and a clear error for any other."""

import json
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from attrs import evolve, field, frozen


class NotUnderstood(Exception):
    """The Dockerfile uses something that this reader does not know; the text names it."""


@frozen
class Config:
    """What a container of a stage is started with."""

    env: Mapping[str, str] = field(factory=dict)
    workdir: str = "/"
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    healthcheck: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(factory=dict)
    volumes: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    stop_signal: str = "SIGTERM"


@frozen
class Run:
    """A shell command, with the environment and folder that hold at its place."""

    command: str
    env: Mapping[str, str]
    workdir: str


@frozen
class Copy:
    """`sources` of the build context, or of an earlier stage, to `target` (absolute; a folder if it ends in `/`)."""

    sources: tuple[str, ...]
    target: str
    stage: str | None


@frozen
class Stage:
    """One FROM. `base` is the name of an earlier stage or of an image."""

    name: str
    base: str
    steps: tuple[Run | Copy, ...] = ()
    config: Config = field(factory=Config)


@frozen
class Dockerfile:
    """The stages in their order; the last one is the image."""

    stages: Mapping[str, Stage]
    final: Stage


def parse(text: str) -> Dockerfile:
    """Raises NotUnderstood."""
    arguments: dict[str, str] = {}
    stages: dict[str, Stage] = {}
    stage: Stage | None = None
    for verb, rest in _instructions(text):
        if verb == "ARG" and stage is None:
            name, _, value = rest.partition("=")
            arguments[name] = value
        elif verb == "FROM":
            stage = _from(_expand(rest, arguments), stages)
        elif stage is None:
            raise NotUnderstood(f"{verb} before FROM")
        elif verb not in _HANDLERS:
            raise NotUnderstood(f"the instruction {verb}")
        else:
            stage = _HANDLERS[verb](stage, rest)
        if stage is not None:
            stages[stage.name] = stage
    if stage is None:
        raise NotUnderstood("a file without FROM")
    return Dockerfile(stages, stage)


def is_ignored(path: str, patterns: Iterable[str]) -> bool:
    """Whether .dockerignore's `patterns` keep `path` (relative, `/`) out of the build context; the last match wins."""
    ignored = False
    parents = [path] + [path[:place] for place, sign in enumerate(path) if sign == "/"]
    for pattern in patterns:
        keep, wanted = pattern.startswith("!"), pattern.lstrip("!").strip("/")
        tail = wanted.removeprefix("**/")
        if any(fnmatchcase(part, wanted) or (tail != wanted and fnmatchcase(_base(part), tail)) for part in parents):
            ignored = not keep
    return ignored


def ignore_patterns(text: str) -> tuple[str, ...]:
    """The lines of a .dockerignore that count."""
    lines = (line.strip() for line in text.splitlines())
    return tuple(line for line in lines if line and not line.startswith("#"))


def _base(path: str) -> str:
    return path.rpartition("/")[2]


def _instructions(text: str) -> Iterable[tuple[str, str]]:
    """Verb and rest of each instruction, continuation lines joined, comments left out."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        verb, _, rest = line.strip().partition(" ")
        yield verb.upper(), rest.strip()


def _expand(text: str, values: Mapping[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        if found[1] not in values:
            raise NotUnderstood(f"the variable {found[1]}")
        return values[found[1]]

    return re.sub(r"\$\{?(\w+)\}?", value, text)


def _from(rest: str, stages: Mapping[str, Stage]) -> Stage:
    match rest.split():
        case [base]:
            name = "final"
        case [base, "AS" | "as", name]:
            pass
        case _:
            raise NotUnderstood(f"FROM {rest}")
    return Stage(name, base, config=stages[base].config if base in stages else Config())


def _run(stage: Stage, rest: str) -> Stage:
    if rest.startswith(("-", "[", "<<")):
        raise NotUnderstood(f"RUN {rest}")
    return evolve(stage, steps=(*stage.steps, Run(rest, stage.config.env, stage.config.workdir)))


def _copy(stage: Stage, rest: str) -> Stage:
    *sources, target = rest.split()
    source_stage = None
    if sources[0].startswith("--from="):
        source_stage = sources.pop(0).removeprefix("--from=")
    if not sources or any(word.startswith("-") for word in sources):
        raise NotUnderstood(f"COPY {rest}")
    if not target.startswith("/"):
        target = f"{stage.config.workdir.rstrip('/')}/{target.removeprefix('./')}"
    return evolve(stage, steps=(*stage.steps, Copy(tuple(sources), target, source_stage)))


def _pairs(rest: str) -> dict[str, str]:
    pairs = dict(word.partition("=")[::2] for word in shlex.split(rest))
    if "$" in rest or not all(pairs.values()):
        raise NotUnderstood(f"ENV or LABEL {rest}")
    return pairs


def _words(rest: str) -> tuple[str, ...]:
    """The list form, which starts no shell."""
    try:
        words = json.loads(rest)
    except ValueError:
        raise NotUnderstood(f"a command that is not a JSON list: {rest}") from None
    return tuple(words)


def _configure(name: str, read: Callable[[Stage, str], object]) -> Callable[[Stage, str], Stage]:
    """A handler that sets one field of the configuration."""

    def handle(stage: Stage, rest: str) -> Stage:
        change: dict[str, Any] = {name: read(stage, rest)}
        return evolve(stage, config=evolve(stage.config, **change))

    return handle


_HANDLERS: Mapping[str, Callable[[Stage, str], Stage]] = {
    "RUN": _run,
    "COPY": _copy,
    "ENV": _configure("env", lambda stage, rest: {**stage.config.env, **_pairs(rest)}),
    "LABEL": _configure("labels", lambda stage, rest: {**stage.config.labels, **_pairs(rest)}),
    "WORKDIR": _configure("workdir", lambda _, rest: rest),
    "VOLUME": _configure("volumes", lambda stage, rest: (*stage.config.volumes, rest)),
    "EXPOSE": _configure("ports", lambda stage, rest: (*stage.config.ports, int(rest))),
    "STOPSIGNAL": _configure("stop_signal", lambda _, rest: rest),
    "HEALTHCHECK": _configure("healthcheck", lambda _, rest: _words(rest.partition("CMD ")[2])),
    "ENTRYPOINT": _configure("entrypoint", lambda _, rest: _words(rest)),
    "CMD": _configure("cmd", lambda _, rest: _words(rest)),
}
