"""Modules with their code run, also those that the hub loads with the first request for them."""

from importlib import import_module
from types import ModuleType

from parachute_hub.system import loading


def whole(name: str) -> ModuleType:
    """Import and load a module, and the modules that it names."""
    module = import_module(name)
    loading.load(module)
    loading.load(*(each for each in list(vars(module).values()) if isinstance(each, ModuleType)))
    return module
