"""Imports that run late, or without something, so that the hub starts fast and an idle one stays small.

`with lazily():` around imports at the top of a file is what `lazy import` is in Python 3.15 (PEP 810): type checkers
and readers see ordinary imports, and the code is loaded when a name in it is first used. Import modules in it, not
names: `from package import module`.
"""

import os
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.abc import Loader, MetaPathFinder
else:  # Python asks for their methods only, and importlib.abc loads importlib.resources, tempfile and shutil.
    Loader = MetaPathFinder = object

# The standard library; in some places other packages are in a folder below.
_STANDARD = os.path.join(os.path.dirname(os.__file__), "")


class Replaced(ImportError):
    """The file is another one than when this process started, so a newer version was installed meanwhile."""


class _Unloaded(ModuleType):
    """A module whose code has not run. Whatever is missing in it makes it run."""

    def __getattr__(self, name: str) -> Any:
        if name == "__path__":  # Each import of a name asks for it; packages have it.
            raise AttributeError(name)
        loader = self.__spec__.loader if self.__spec__ is not None else None
        if isinstance(loader, _LateLoader) and name in loader.names:
            source = loader.names[name]
            return getattr(import_module(source), name) if source else _Late(self, name)
        # `from package import module` asks for it as an attribute first.
        inner = f"{self.__name__}.{name}"
        if "__path__" in vars(self) and PathFinder.find_spec(inner, self.__path__) is not None:
            return import_module(inner)
        load(self)
        return ModuleType.__getattribute__(self, name)


class _Late:
    """Stands for a name of a module whose code has not run. All use of it makes it run, but for `except` and `|`."""

    def __init__(self, module: ModuleType, name: str) -> None:
        self.__module = module
        self.__name = name

    def __get(self) -> Any:
        load(self.__module)
        return getattr(self.__module, self.__name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.__get()(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__get(), name)

    def __getitem__(self, key: Any) -> Any:
        return self.__get()[key]

    def __contains__(self, key: Any) -> bool:
        return key in self.__get()

    def __instancecheck__(self, instance: Any) -> bool:
        return isinstance(instance, self.__get())

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[Any]:
        """What a class statement inherits from."""
        return (self.__get(),)


class _LateLoader(Loader):
    """Each module has its own lock, as imports do: files that do not import each other in a circle cannot block."""

    def __init__(self, loader: Any, file: str | None) -> None:
        self._loader = loader
        self.names: Mapping[str, str] = {}
        self._file = file
        self._was = _stamp(file)
        self._turn = threading.RLock()
        self._running = False

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__class__ = _Unloaded

    def run(self, module: ModuleType) -> None:
        """Run the module's code, unless that has happened. If it fails, the next use tries again."""
        with self._turn:
            if is_loaded(module) or self._running:  # Asked by its own code for what is not there yet.
                return
            if _is_replaced(self._file, self._was):
                raise Replaced(f"{self._file} was replaced")
            self._running = True
            try:
                self._loader.exec_module(module)
                module.__class__ = ModuleType
            finally:
                self._running = False


def _is_replaced(file: str | None, was: tuple[int, int] | None) -> bool:
    """Whether it fits this process no longer. Systems install patches of Python itself meanwhile, and those fit."""
    now = _stamp(file)
    if now is None or file is None:
        return now != was
    standard = file.startswith(_STANDARD) and "-packages" not in file
    return now != was and not standard


def _stamp(file: str | None) -> tuple[int, int] | None:
    """None for what is no file, or is gone."""
    try:
        found = os.stat(file or "")
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


class _LateFinder(MetaPathFinder):
    def __init__(self, packages: Iterable[str]) -> None:
        self._packages = packages

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.loader is None:
            return spec
        if spec.submodule_search_locations is None or fullname in self._packages:
            spec.loader = _LateLoader(spec.loader, spec.origin)
        return spec


class _DeferringFinder(_LateFinder):
    def __init__(self, names: Mapping[str, Mapping[str, str]]) -> None:
        super().__init__(names)
        self._names = names

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in self._names:
            return None
        spec = super().find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, _LateLoader):
            spec.loader.names = self._names[fullname]
        return spec


@contextmanager
def lazily(*packages: str) -> Iterator[None]:
    """Modules that are imported for the first time in this block are loaded when they are first used.

    Their packages are loaded at once, but for `packages`: of those, modules can be used without what else the package
    offers. A mistake in a module shows at its first use, as an exception there.
    """
    finder = _LateFinder(packages)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


def defer(names: Mapping[str, Mapping[str, str]]) -> None:
    """From now on, whoever imports one of these modules or packages gets it `lazily`.

    For code of others that imports names from a module which it rarely uses: by module, then by name, the module that
    defines it, or "" for a function, which is loaded when it is called. Other names load their module at once.
    """
    sys.meta_path.insert(0, _DeferringFinder(names))


def is_loaded(module: ModuleType) -> bool:
    """False for a module that was imported `lazily` and has not been used."""
    return type(module) is not _Unloaded


def load(*modules: ModuleType) -> None:
    """Load them now, in any thread. Raises Replaced, or what their code raises."""
    for module in modules:
        loader = module.__spec__.loader if module.__spec__ is not None else None
        if isinstance(loader, _LateLoader):
            loader.run(module)


def load_all() -> None:
    """Load everything that was imported `lazily`, and what that imports."""
    while waiting := [each for each in list(sys.modules.values()) if each is not None and not is_loaded(each)]:
        load(*waiting)


@contextmanager
def without(*names: str) -> Iterator[None]:
    """What is imported in this block finds these packages missing, unless they are loaded already."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # As documented for sys.modules.
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
