import json
from typing import Any

from parachute_hub.app.installed import LOOK_SECONDS, RouteTables, mounts_of
from parachute_hub.proxy.routes import Mount
from tests.app.rosters import RosterCase, row


class RosterTests(RosterCase):
    def test_nothing_is_installed_on_a_fresh_disk(self) -> None:
        """No file, no modules, no complaint."""
        self.assertEqual((self.installed_modules.modules(), self.notices), ((), []))

    def test_requests_go_where_the_process_listens_whatever_the_row_says(self) -> None:
        """Any program on this machine can write a row; only the supervisor knows who holds a port."""
        self.register(row("parachute-vault", 1940, "/vault/default"))
        self.live["vault"] = 1940
        self.assertEqual([mount.port for mount in mounts_of(self.installed_modules.modules())], [1940])
        self.register(row("parachute-vault", 6666, "/vault/default"))
        self.assertEqual([mount.port for mount in mounts_of(self.installed_modules.modules())], [1940])
        self.live["vault"] = 6666
        self.installed_modules.settle("vault")
        self.assertEqual([mount.port for mount in mounts_of(self.installed_modules.modules())], [6666])

    def test_a_status_that_moves_no_port_costs_no_look(self) -> None:
        """Modules change their status far more often than their port."""
        self.register(row("parachute-vault", 1940, "/vault/default"))
        before = self.installed_modules.modules()
        self.installed_modules.settle("vault")
        self.live["vault"] = 1940
        self.installed_modules.settle("vault")
        self.assertIs(self.installed_modules.modules(), before)

    def test_the_package_and_the_catalog_say_how_paths_are_sent_on(self) -> None:
        """scribe strips by the catalog, a package by its manifest; the row's value is ignored."""
        folder = self.package("own", stripPrefix=True, websocket=True)
        self.register(
            row("parachute-scribe", 1943, "/scribe", stripPrefix=False, websocket=True),
            row("parachute-vault", 1940, "/vault/default", stripPrefix=True),
            row("own", 1951, "/own"),
            folders={"own": folder},
        )
        seen = {module.short: (module.strip, module.websocket) for module in self.installed_modules.modules()}
        self.assertEqual(seen, {"scribe": (True, False), "vault": (False, False), "own": (True, True)})

    def test_foreign_mounts_are_ignored_and_reported_once(self) -> None:
        """A row cannot claim admin pages or another module's mount."""
        self.register(row("own", 1951, "/own", "/admin", "/vault/default"))
        (module,) = self.installed_modules.modules()
        self.assertEqual(module.paths, ("/own",))
        self.assertEqual(len(self.notices), 2)
        self.installed_modules.forget()
        self.installed_modules.modules()
        self.assertEqual(len(self.notices), 2)

    def test_modules_outside_the_catalog_are_sandboxed_until_trusted(self) -> None:
        """The owner can lift the sandbox."""
        self.register(row("own", 1951, "/own"), row("parachute-vault", 1940, "/vault/default"))
        self.assertEqual([module.sandboxed for module in self.installed_modules.modules()], [True, False])
        self.records.change("own", trusted=True)
        self.installed_modules.forget()
        self.assertEqual([module.sandboxed for module in self.installed_modules.modules()], [False, False])

    def test_exposure_comes_from_the_owner_then_the_catalog(self) -> None:
        """scribe has no sign-in, so the hub requires a credential."""
        rows = (
            row("parachute-scribe", 1943, "/scribe", publicExposure="allowed"),
            row("parachute-vault", 1940, "/vault/default", publicExposure="loopback"),
        )
        self.register(*rows)
        self.assertEqual([module.exposure for module in self.installed_modules.modules()], ["auth-required", "allowed"])
        self.records.change("vault", exposure="loopback")
        self.register(*rows)
        self.installed_modules.forget()
        self.assertEqual(
            [module.exposure for module in self.installed_modules.modules()], ["auth-required", "loopback"]
        )

    def test_a_change_of_the_file_is_seen_without_a_restart(self) -> None:
        """Modules register themselves while they start."""
        self.register(row("parachute-vault", 1940, "/vault/default"))
        self.assertEqual(self.installed_modules.vaults(), ("default",))
        self.register(row("parachute-vault", 1940, "/vault/default", "/vault/work"))
        self.assertEqual(self.installed_modules.vaults(), ("default", "work"))
        self.assertEqual(self.installed_modules.shorts(), ("vault",))

    def test_every_path_becomes_a_mount_with_its_open_doors(self) -> None:
        """Info, icon and health need no credentials."""
        self.register(row("parachute-vault", 1940, "/vault/default/", "/vault/work", health="/vault/default/health"))
        first, second = mounts_of(self.installed_modules.modules())
        self.assertEqual((first.prefix, second.prefix), (b"/vault/default", b"/vault/work"))
        self.assertIn(b"/vault/default/.parachute/info", first.open_paths)
        self.assertIn(b"/vault/default/health", first.open_paths)

    def test_sub_units_become_parts_with_an_audience(self) -> None:
        """hub-users by default; parts outside the module's mounts are ignored."""
        units: dict[str, dict[str, Any]] = {
            "app": {"path": "/own/app/", "scopes_required": ["vault:read"]},
            "desk": {"path": "/own/desk", "audience": "operator"},
            "same": {"path": "/own/desk/", "audience": "public"},
            "open": {"path": "/own/app/open", "audience": "surface"},
            "odd": {"path": "/own/odd/my%20app/x"},
            "away": {"path": "/ownership"},
            "root": {"path": "/"},
        }
        uis = {slug: {"displayName": slug, **unit} for slug, unit in units.items()}
        self.register(row("own", 1951, "/own", uis=uis))
        whole, *parts = mounts_of(self.installed_modules.modules())
        self.assertEqual((whole.part, whole.audience), (b"", "public"))
        self.assertEqual(
            {(part.part, part.audience, part.scopes_required) for part in parts},
            {
                (b"/app", "hub-users", ("vault:read",)),
                (b"/desk", "operator", ()),
                (b"/app/open", "public", ()),
                (b"/odd", "hub-users", ()),
            },
        )

    def test_an_odd_path_closes_more_and_opens_nothing(self) -> None:
        """A path that readers could interpret differently is closed from its last plain segment on."""
        uis = {
            "all": {"displayName": "All", "path": "/own", "audience": "operator"},
            "odd": {"displayName": "Odd", "path": "/own/a/%20b", "audience": "public"},
            "open": {"displayName": "Open", "path": "/own/open/", "audience": "public"},
        }
        self.register(row("own", 1951, "/own", uis=uis))
        seen = [(mount.part, mount.audience) for mount in mounts_of(self.installed_modules.modules())]
        self.assertEqual(seen, [(b"", "operator"), (b"/open", "public")])

    def test_a_sub_unit_may_be_the_whole_mount(self) -> None:
        uis = {"own": {"displayName": "Own", "path": "/own", "audience": "operator"}}
        self.register(row("own", 1951, "/own/", uis=uis))
        (whole,) = mounts_of(self.installed_modules.modules())
        self.assertEqual((whole.part, whole.audience), (b"", "operator"))

    def test_the_hubs_own_changes_are_seen_at_once(self) -> None:
        """The installer reports them; only changes by others need polling."""
        self.register(row("own", 1951, "/own"))
        self.assertEqual(self.installed_modules.shorts(), ("own",))
        (self.home / "services.json").write_text(json.dumps({"services": []}))
        self.assertEqual(self.installed_modules.shorts(), ("own",))
        self.installed_modules.forget()
        self.assertEqual(self.installed_modules.shorts(), ())

    def test_what_cannot_be_read_stays_as_it_was(self) -> None:
        """Whatever fails while modules are read, until reading works again."""
        self.register(row("parachute-vault", 1940, "/vault/default"))
        good = self.installed_modules.modules()
        broken = True

        def live_port(short: str) -> int | None:
            if broken:
                raise RuntimeError("no reader expects this")
            return None

        self.patch(self.installed_modules, "_live_port", live_port)
        self.records.change("vault", port=1941)
        self.installed_modules.forget()
        self.register(row("parachute-vault", 1940, "/vault/default"))
        for _ in range(3):
            self.assertEqual(self.installed_modules.modules(), good)
            self.clock.advance(LOOK_SECONDS)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        broken = False
        self.assertEqual([module.port for module in self.installed_modules.modules()], [1941])

    def test_a_failure_that_concerns_no_single_row_keeps_all_modules(self) -> None:
        self.register(row("parachute-vault", 1940, "/vault/default"))
        good = self.installed_modules.modules()

        def notice(text: str) -> None:
            raise RuntimeError(text)

        self.patch(self.installed_modules, "_notice", notice)
        self.register(row("parachute-vault", 1940, "/vault/default"), row("toy", 1950, "/vault/default"))
        for _ in range(3):
            self.assertEqual(self.installed_modules.modules(), good)
            self.clock.advance(LOOK_SECONDS)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_a_table_that_cannot_be_made_leaves_the_last_one_in_use(self) -> None:
        """Every request depends on it, including /health."""
        self.register(row("parachute-vault", 1940, "/vault/default"))
        broken = False

        def hosts() -> list[str]:
            if broken:
                raise RuntimeError("the query failed")
            return ["hub.test"]

        tables = RouteTables(
            self.installed_modules, hosts, lambda: "http://hub.test", lambda: False, self.clock.seconds
        )
        good = tables.table()
        broken = True
        for _ in range(3):
            self.clock.advance(LOOK_SECONDS)
            self.assertIs(tables.table(), good)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        broken = False
        self.records.change("vault", port=1941)
        self.installed_modules.forget()
        self.register(row("parachute-vault", 1940, "/vault/default"))
        mount = tables.table().place(b"/vault/default/x")
        assert isinstance(mount, Mount)
        self.assertEqual(mount.port, 1941)

    def test_without_any_table_so_far_nothing_is_public(self) -> None:
        """The hub's own site still answers."""

        def hosts() -> list[str]:
            raise RuntimeError("the query failed")

        tables = RouteTables(
            self.installed_modules, hosts, lambda: "http://hub.test", lambda: False, self.clock.seconds
        )
        self.assertTrue(tables.table().gated)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_the_table_is_kept_until_something_changes(self) -> None:
        """Building it per request would cost more than the request."""
        self.register(row("parachute-vault", 1940, "/vault/default"))
        gated = [False]
        hosts = ["hub.test"]
        tables = RouteTables(
            self.installed_modules, lambda: hosts, lambda: "http://hub.test", lambda: gated[0], self.clock.seconds
        )
        first = tables.table()
        self.assertIs(tables.table(), first)
        self.assertEqual(first.hosts, frozenset({b"hub.test"}))
        gated[0] = True
        self.assertEqual((tables.table().gated, tables.table().hosts), (True, frozenset()))
        gated[0] = False
        self.assertEqual(tables.table(), first)
        hosts.append("other.test")
        self.assertEqual(tables.table(), first)
        self.records.change("vault", port=1941)
        self.installed_modules.forget()
        self.register(row("parachute-vault", 1940, "/vault/default"))
        self.assertIn(b"other.test", tables.table().hosts)
        mount = tables.table().place(b"/vault/default/x")
        assert isinstance(mount, Mount)
        self.assertEqual(mount.port, 1941)
