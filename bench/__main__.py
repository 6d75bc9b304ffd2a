"""`python -m bench` runs every measurement, `python -m bench NAME ...` only those."""

import importlib
import pkgutil
import sys

import bench


def main(names: list[str]) -> None:
    """Run them one after another."""
    known = [module.name for module in pkgutil.iter_modules(bench.__path__) if not module.name.startswith("_")]
    for name in names or known:
        if name not in known:
            sys.exit(f"There is no measurement {name!r}. There are: {', '.join(known)}")
        print(f"== {name}", flush=True)
        package = hasattr(importlib.import_module(f"bench.{name}"), "__path__")
        importlib.import_module(f"bench.{name}.__main__" if package else f"bench.{name}").main()


if __name__ == "__main__":
    main(sys.argv[1:])
