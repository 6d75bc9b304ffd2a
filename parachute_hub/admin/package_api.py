"""What a module on offer takes and brings, asked when somebody opens its page."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from klein import Klein
from twisted.web.iweb import IRequest

from parachute_hub.jobs.runner import JobFailed
from parachute_hub.modules.definition.catalog import Catalog
from parachute_hub.modules.packages.bun import BunFailed
from parachute_hub.modules.packages.facts import Facts
from parachute_hub.site.answers import as_json
from parachute_hub.site.area import area
from parachute_hub.site.auth import ADMIN, Authenticator
from parachute_hub.site.errors import Refused, not_found


class KnowsPackages(Protocol):
    """`facts.PackageFacts`."""

    def of(self, package: str, version: str) -> Awaitable[Facts]:
        """What is known of this version. Raises BunFailed."""


class PackageArea:
    """`/api/packages`. `latest` returns the version on offer; None while it is unknown."""

    app: Klein = area()

    def __init__(
        self,
        *,
        who: Authenticator,
        catalog: Catalog,
        latest: Callable[[str], Awaitable[str | None]],
        facts: KnowsPackages,
    ) -> None:
        self._who = who
        self._catalog = catalog
        self._latest = latest
        self._facts = facts

    @app.route("/api/packages/<short>", methods=["GET"])
    async def package(self, request: IRequest, short: str) -> bytes:
        """Sizes and latest releases of a module in the catalog."""
        self._who.need(request, ADMIN)
        entry = self._catalog.get(short)
        if entry is None:
            raise not_found("There is no such module on offer.")
        try:
            version = await self._latest(entry.package)
            if version is None:
                raise not_found("There is no version of this module yet.")
            facts = await self._facts.of(entry.package, version)
        except (BunFailed, JobFailed) as error:
            raise Refused(502, "registry_failed", str(error)) from None
        return as_json(request, facts.to_json())
