"""Frees disk space that no module needs."""

from parachute_hub.jobs.runner import Jobs
from parachute_hub.modules.operations.install import stamped_versions
from parachute_hub.modules.state.directory import ModuleDirectory
from parachute_hub.modules.state.disk_space import Disk


def clear_space(directory: ModuleDirectory, jobs: Jobs, disk: Disk) -> int:
    """Empty bun's cache and delete unneeded versions. Returns the bytes freed. Blocks.

    Keeps all versions of a module that is being changed or has pending undos.
    """
    before = disk.free_bytes()
    stamped = stamped_versions(directory.services.read(), directory.store)
    for short in directory.shorts():
        if jobs.active(short) is not None or jobs.unsettled(short):
            continue
        package = directory.package_of(short)
        active = directory.store.active(short, package) if package else None
        directory.store.prune(short, {active, directory.records.get(short).previous, *stamped})
    disk.clear_cache()
    return max(0, disk.free_bytes() - before)
