"""`parachute module new`: a working module from a template. `parachute module kit` writes the kit into any module."""

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from parachute_hub.cli.client import CommandError
from parachute_hub.cli.commands import show
from parachute_hub.cli.grammar import path_of
from parachute_hub.modules.definition import names

KIT = ("files.ts", "http.ts", "hub-token.ts", "register.ts", "testing.ts")
"""Code for any module to keep in its folder `kit`; testing.ts is for its tests."""


def add_options(sub: ArgumentParser) -> None:
    sub.add_argument("name", help="its short name and mount: `clock` is served at /clock")
    sub.add_argument("--folder", type=path_of, help="where to write it [./NAME]")
    sub.add_argument("--static", action="store_true", help="an app of plain files, without a server of its own")


def kit(arguments: Namespace) -> int:
    """Write this hub's kit into a module, over an earlier one."""
    folder = Path(arguments.folder)
    if not (folder / "package.json").is_file():
        raise CommandError(
            f"{folder} is not a module: it has no package.json. `parachute module new` makes one.", code=2
        )
    place = next((folder / one for one in ("src/kit", "kit") if (folder / one).is_dir()), folder / "kit")
    _write(place, kit_content())
    text = f"The kit is in {place}. Name that folder under `files` in package.json if your module uses it."
    show(arguments, {"folder": str(place), "files": [*KIT]}, text)
    return 0


def kit_content() -> dict[str, str]:
    """The files of the kit, by name."""
    place = files("parachute_hub.modules.definition").joinpath("kit")
    return {name: place.joinpath(name).read_text() for name in KIT}


def _write(folder: Path, content: Mapping[str, str]) -> None:
    for path, text in content.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)


def new(arguments: Namespace) -> int:
    """Write the folder and check it."""
    # It knows the whole format of modules, and takes its time to import.
    from parachute_hub.modules.definition.lint import check

    name, folder = arguments.name, Path(arguments.folder or arguments.name)
    if not names.is_short(name):
        raise CommandError(f"{name!r} cannot be a module's name. Use lower case letters, digits and dashes.", code=2)
    if name in names.FOLDERS_OF_THE_HUB:
        raise CommandError(f"{name} is kept for the hub. Choose another name.", code=2)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CommandError(f"{folder} exists already. Choose another --folder.")
    _write(folder, content(name, static=arguments.static))
    findings = [str(finding) for finding in check(folder)]
    lines = [
        f"{folder} is a working module.",
        *findings,
        f"Run it:        parachute module dev {folder}",
        f"Test it:       parachute module test {folder}",
        f"Check it:      parachute module check {folder}",
        f"Keep it:       parachute install {folder if folder.is_absolute() else f'./{folder}'}",
    ]
    show(arguments, {"folder": str(folder), "name": name, "findings": findings}, "\n".join(lines))
    return 1 if findings else 0


def content(name: str, *, static: bool) -> dict[str, str]:
    """The files of a new module, by path."""
    title = name.replace("-", " ").capitalize()
    manifest: dict[str, Any] = {
        "name": name,
        "manifestName": f"my-{name}",
        "displayName": title,
        "tagline": "What it does, in one sentence",
        "port": 4321,
        "paths": [f"/{name}"],
        "health": f"/{name}/health",
        "uiUrl": f"/{name}/" if static else f"/{name}",
        "focus": "experimental",
        "permissions": {"network": "none"},
    }
    package: dict[str, Any] = {
        "name": f"my-{name}",
        "version": "0.1.0",
        "description": manifest["tagline"],
        "type": "module",
    }
    shared = files("parachute_hub.cli").joinpath("templates")

    def filled(template: str) -> str:
        return shared.joinpath(template).read_text().replace("{name}", name).replace("{title}", title)

    if static:
        info = {key: manifest[key] for key in ("displayName", "tagline")}
        info |= {"name": f"my-{name}", "version": "0.1.0", "iconUrl": f"/{name}/.parachute/icon.svg"}
        parts = {
            "dist/index.html": filled("index.html"),
            "dist/main.js": filled("main.js"),
            "dist/.parachute/info": _json(info),
            "dist/.parachute/icon.svg": filled("module-icon.svg"),
        }
        package["files"] = ["dist", ".parachute"]
    else:
        manifest["startCmd"] = [f"my-{name}"]
        parts = {"server.ts": filled("server.ts"), ".parachute/icon.svg": filled("module-icon.svg")}
        package |= {"bin": {f"my-{name}": "server.ts"}, "files": ["server.ts", "kit", ".parachute"]}
    parts["test/module.test.ts"] = filled("module.test.ts")
    parts |= {f"kit/{path}": text for path, text in kit_content().items()}
    return {"package.json": _json(package), ".parachute/module.json": _json(manifest), **parts}


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=2) + "\n"
