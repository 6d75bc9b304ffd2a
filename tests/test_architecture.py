"""Checks the structure that ARCHITECTURE.md describes, and that each check finds a planted violation."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import parachute_hub
from tests import architecture
from tests.architecture import Tables
from tests.support import documents
from tests.support.documents import ROOT

SOURCES = architecture.read_sources(Path(parachute_hub.__file__).parent)
TABLES = Tables.load(Path(__file__).with_name("architecture.toml"))


class ArchitectureTests(SynchronousTestCase):
    def test_no_file_is_longer_than_the_limit(self) -> None:
        self.assertGreater(len(SOURCES), 200)
        self.assertEqual(architecture.long_files(SOURCES), [])

    def test_every_file_is_of_exactly_one_kind(self) -> None:
        self.assertEqual(architecture.files_of_no_single_kind(SOURCES, TABLES), [])

    def test_every_pattern_of_the_table_matches_a_file(self) -> None:
        self.assertEqual(architecture.stale_patterns(SOURCES, TABLES), [])

    def test_rooms_import_only_what_the_table_grants(self) -> None:
        self.assertEqual(architecture.forbidden_rooms(SOURCES, TABLES), [])

    def test_pure_files_do_no_io(self) -> None:
        self.assertEqual(architecture.impurities(SOURCES, TABLES), [])

    def test_no_files_import_each_other_in_a_circle(self) -> None:
        self.assertEqual(architecture.cycles(SOURCES), [])

    def test_only_entry_points_import_the_reactor(self) -> None:
        self.assertEqual(architecture.imports_outside(SOURCES, "twisted.internet.reactor", ("tap.py", "cli/*")), [])

    def test_texts_refer_to_no_document_outside_the_repository(self) -> None:
        self.assertEqual(architecture.foreign_references(SOURCES), [])

    def test_only_the_store_imports_sqlite(self) -> None:
        self.assertEqual(architecture.imports_outside(SOURCES, "sqlite3", tuple(TABLES.kinds["sql"])), [])


class PlantedViolationTests(SynchronousTestCase):
    """Each check must report a violation."""

    def planted(self, path: str, line: str) -> dict[str, str]:
        return {**SOURCES, path: SOURCES.get(path, "") + f"\n{line}\n"}

    def test_a_room_that_imports_the_composition_root(self) -> None:
        sources = self.planted("proxy/connection_limits.py", "from parachute_hub.app.compose import compose")
        wrong = architecture.forbidden_rooms(sources, TABLES)
        self.assertEqual(wrong, ["proxy/connection_limits.py imports app/compose.py, an entry point"])

    def test_a_room_that_imports_the_command_or_the_plugin(self) -> None:
        for module, path in (("cli.parser", "cli/parser.py"), ("tap", "tap.py")):
            sources = self.planted("store/users.py", f"import parachute_hub.{module}")
            wrong = architecture.forbidden_rooms(sources, TABLES)
            self.assertEqual(wrong, [f"store/users.py imports {path}, an entry point"])

    def test_a_room_that_imports_one_it_was_not_granted(self) -> None:
        sources = self.planted("proxy/routes.py", "from parachute_hub.store.users import Users")
        wrong = architecture.forbidden_rooms(sources, TABLES)
        self.assertEqual(wrong, ["proxy/routes.py imports store/users.py, but proxy may not import store"])

    def test_an_import_inside_a_function(self) -> None:
        sources = self.planted("proxy/routes.py", "def f():\n    from parachute_hub.store import users")
        self.assertEqual(len(architecture.forbidden_rooms(sources, TABLES)), 1)

    def test_io_and_clocks_in_a_pure_file(self) -> None:
        for line in (
            "import os\nHOME = os.environ",
            "from pathlib import Path",
            "from datetime import datetime",
            "import time",
            "import random",
            "import socket",
            "import sqlite3",
            "from twisted.internet import defer",
            "TEXT = open('/etc/passwd')",
            "def f(path):\n    return path.read_text()",
            "def f(clock):\n    return clock.now()",
            "async def f():\n    pass",
            "from parachute_hub.store import database",
            "from parachute_hub.system import timers",
        ):
            with self.subTest(line=line):
                wrong = architecture.impurities(self.planted("jobs/model.py", line), TABLES)
                self.assertNotEqual(wrong, [])

    def test_an_unlisted_file(self) -> None:
        wrong = architecture.files_of_no_single_kind({**SOURCES, "proxy/new.py": ""}, TABLES)
        self.assertEqual(wrong, ["proxy/new.py is of 0 kinds: add it to tests/architecture.toml"])

    def test_a_file_of_two_kinds(self) -> None:
        kinds = {**TABLES.kinds, "web": (*TABLES.kinds["web"], "proxy/routes.py")}
        wrong = architecture.files_of_no_single_kind(SOURCES, Tables(kinds, {}, (), (), (), ()))
        self.assertEqual(wrong, ["proxy/routes.py is of 2 kinds: pure, web"])

    def test_a_circle_of_files(self) -> None:
        sources = self.planted("proxy/model.py", "from parachute_hub.proxy.routes import Mount")
        sources["proxy/routes.py"] += "\nfrom parachute_hub.proxy import model\n"
        self.assertEqual(architecture.cycles(sources), ["proxy/model.py <-> proxy/routes.py"])

    def test_a_reference_to_a_document_that_is_not_here(self) -> None:
        wrong = architecture.foreign_references({"a.py": '"""As modules.md 4 has it (issue 9)."""'})
        self.assertEqual(len(wrong), 2)

    def test_a_long_file(self) -> None:
        wrong = architecture.long_files({"a.py": "\n" * 401})
        self.assertEqual(wrong, ["a.py has 401 lines, more than 400"])

    def test_sqlite_and_the_reactor_outside_their_places(self) -> None:
        for module in ("sqlite3", "twisted.internet.reactor"):
            sources = self.planted("proxy/routes.py", f"import {module}")
            wrong = architecture.imports_outside(sources, module, ("store/*", "tap.py", "cli/*", "modules/*"))
            self.assertEqual(wrong, [f"proxy/routes.py imports {module}"])


class ReferenceTests(SynchronousTestCase):
    def test_every_link_leads_to_a_file(self) -> None:
        self.assertEqual(documents.broken_links(dict(documents.texts(".md"))), [])

    def test_every_page_that_a_file_mentions_exists(self) -> None:
        suffixes = (
            ".py",
            ".md",
            ".ts",
            ".tsx",
            ".mjs",
            ".toml",
            ".cfg",
            ".yml",
            ".yaml",
            "Makefile",
            "Dockerfile",
            "run",
        )
        sources = {name: text for name, text in documents.texts(*suffixes) if name != "tests/test_architecture.py"}
        self.assertEqual(documents.broken_references(sources), [])

    def test_every_path_that_a_page_names_exists(self) -> None:
        self.assertEqual(documents.missing_files(dict(documents.texts(".md"))), [])
        self.assertEqual(
            documents.missing_files({"README.md": "`tests/gone.py` `tests/live` `/tests/x` `tests`"}),
            ["README.md names tests/gone.py"],
        )

    def test_a_broken_link_and_a_broken_reference_are_found(self) -> None:
        self.assertEqual(
            documents.broken_links({"README.md": "[x](docs/gone.md)"}), ["README.md links to docs/gone.md"]
        )
        text = "docs/gone.md docs/decisions/050 docs/decisions/999"
        wrong = ["a.py refers to docs/gone.md", "a.py refers to docs/decisions/999"]
        self.assertEqual(documents.broken_references({"a.py": text}), wrong)

    def test_the_index_lists_every_decision_once_under_its_title(self) -> None:
        folder = ROOT / "docs" / "decisions"
        listed = [line for line in (folder / "README.md").read_text().splitlines() if line.startswith("- ")]
        titles = {path.name: path.read_text().splitlines()[0].removeprefix("# ") for path in folder.glob("[0-9]*.md")}
        self.assertEqual(sorted(listed), sorted(f"- [{title}]({name})" for name, title in titles.items()))

    def test_architecture_names_only_files_that_exist(self) -> None:
        self.assertEqual(documents.unknown_files((ROOT / "ARCHITECTURE.md").read_text()), [])

    def test_a_name_without_a_file_is_found(self) -> None:
        text = "```\n`diagram`\n```\n`proxy/plan` `proxy/` `plan` `proxy/gone` `gone` `app/installed.InstalledModules`"
        self.assertEqual(documents.unknown_files(text), ["proxy/gone", "gone"])
