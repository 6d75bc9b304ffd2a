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
        target = (
            f"bench.{name}.__main__"
            if importlib.import_module(f"bench.{name}").__spec__.submodule_search_locations
            else f"bench.{name}"
        )
        importlib.import_module(target).main()


if __name__ == "__main__":
    main(sys.argv[1:])
