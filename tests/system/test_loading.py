import sys
import threading
import time
from pathlib import Path
from types import ModuleType

from parachute_hub.system import loading
from tests.support.late_code import LateCase


class LazilyTests(LateCase):
    def test_the_code_runs_once_when_something_is_first_used(self) -> None:
        self.written({"late_a": "import sys\nsys.late_runs = getattr(sys, 'late_runs', 0) + 1\nANSWER = 42\n"})
        self.addCleanup(lambda: delattr(sys, "late_runs"))
        module = self.late("late_a")
        self.assertFalse(hasattr(sys, "late_runs"))
        self.assertFalse(loading.is_loaded(module))
        self.assertEqual((module.ANSWER, module.ANSWER, sys.late_runs), (42, 42, 1))  # type: ignore[attr-defined]
        self.assertTrue(loading.is_loaded(module))
        self.assertIs(type(module), ModuleType)

    def test_an_ordinary_import_elsewhere_loads_it(self) -> None:
        self.written({"late_b": "ANSWER = 42\n", "late_user": "from late_b import ANSWER as KNOWN\n"})
        module = self.late("late_b")
        self.assertEqual(__import__("late_user").KNOWN, 42)
        self.assertTrue(loading.is_loaded(module))

    def test_what_is_loaded_already_stays_so(self) -> None:
        self.written({"late_c": "ANSWER = 42\n"})
        __import__("late_c")
        self.assertTrue(loading.is_loaded(self.late("late_c")))

    def test_a_package_whose_modules_are_used_without_itself(self) -> None:
        self.written({"late_p": ""})
        package = Path(sys.path[0]) / "late_q"
        package.mkdir()
        (package / "__init__.py").write_text("from late_q import part, other\nWHOLE = part.X\n")
        (package / "part.py").write_text("X = 1\n")
        (package / "other.py").write_text("X = 2\n")
        for name in ("late_q", "late_q.part", "late_q.other"):
            self.addCleanup(sys.modules.pop, name, None)
        with loading.lazily("late_q"):
            whole = __import__("late_q")
        self.assertEqual(__import__("late_q.part", fromlist=["X"]).X, 1)
        self.assertNotIn("late_q.other", sys.modules)
        self.assertEqual(whole.WHOLE, 1)
        self.assertIn("late_q.other", sys.modules)

    def test_outside_of_the_block_imports_are_as_ever(self) -> None:
        self.written({"late_d": "import late_e\n", "late_e": "ANSWER = 42\n"})
        loading.load(self.late("late_d"))
        self.assertTrue(loading.is_loaded(sys.modules["late_e"]))

    def test_a_name_that_is_not_there_is_an_attribute_error(self) -> None:
        self.written({"late_f": "ANSWER = 42\n"})
        module = self.late("late_f")
        self.assertRaises(AttributeError, lambda: module.OTHER)
        self.assertEqual(module.ANSWER, 42)

    def test_a_failure_is_told_at_each_use_until_it_is_over(self) -> None:
        self.written(
            {"late_g": "import sys\nif not hasattr(sys, 'late_may'):\n    raise OSError('full')\nANSWER = 42\n"}
        )
        module = self.late("late_g")
        for _ in range(2):
            self.assertRaises(OSError, loading.load, module)
        sys.late_may = True  # type: ignore[attr-defined]
        self.addCleanup(lambda: delattr(sys, "late_may"))
        self.assertEqual(module.ANSWER, 42)

    def test_a_file_of_another_version_is_not_loaded(self) -> None:
        self.written({"late_n": "X = 1\n"})
        module = self.late("late_n")
        assert module.__file__ is not None
        Path(module.__file__).write_text("X = 2  # as an update does\n")
        for _ in range(2):
            self.assertRaises(loading.Replaced, loading.load, module)

    def test_a_patch_of_python_fits(self) -> None:
        """Also a hub that has run for weeks sends mail, which needs `ssl`."""
        self.written({"late_r": "X = 1\n", "late_s": "X = 1\n"})
        patched, gone = self.late("late_r"), self.late("late_s")
        assert patched.__file__ is not None and gone.__file__ is not None
        self.patch(loading, "_STANDARD", str(Path(patched.__file__).parent))
        Path(patched.__file__).write_text("X = 23\n")
        Path(gone.__file__).unlink()
        self.assertEqual(patched.X, 23)
        self.assertRaises(loading.Replaced, loading.load, gone)

    def test_everything_that_is_left(self) -> None:
        self.written({"late_o": "X = 1\n"})
        module = self.late("late_o")
        loading.load_all()
        self.assertTrue(loading.is_loaded(module))

    def test_two_threads_load_it_once_and_both_wait(self) -> None:
        self.written(
            {"late_h": "import sys, time\nsys.late_h = getattr(sys, 'late_h', 0) + 1\ntime.sleep(0.05)\nX = 1\n"}
        )
        self.addCleanup(lambda: delattr(sys, "late_h"))
        module, found = self.late("late_h"), []
        threads = [threading.Thread(target=lambda: found.append(module.X)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        self.assertEqual((found, sys.late_h), ([1, 1, 1, 1], 1))  # type: ignore[attr-defined]

    def test_loading_and_importing_in_two_threads_do_not_wait_for_each_other(self) -> None:
        """One loads `late_i`, which imports `late_k`; the other imports `late_k`, which uses `late_j`."""
        self.written(
            {
                "late_i": "import time\ntime.sleep(0.03)\nimport late_k\nX = 1\n",
                "late_j": "X = 2\n",
                "late_k": "import time\nimport late_j\ntime.sleep(0.06)\nX = late_j.X\n",
            }
        )
        first, _ = self.late("late_i"), self.late("late_j")
        other = threading.Thread(target=__import__, args=("late_k",), daemon=True)
        loader = threading.Thread(target=loading.load, args=(first,), daemon=True)
        loader.start()
        other.start()
        end = time.monotonic() + 10
        loader.join(10)
        other.join(max(0, end - time.monotonic()))
        self.assertEqual((loader.is_alive(), other.is_alive(), first.X), (False, False, 1))


class WithoutTests(LateCase):
    def test_a_package_is_missing_within_the_block_alone(self) -> None:
        self.written({"late_m": "X = 1\n"})
        with loading.without("late_m"):
            self.assertRaises(ImportError, __import__, "late_m")
        self.assertEqual(__import__("late_m").X, 1)

    def test_what_is_loaded_already_is_not_taken_away(self) -> None:
        with loading.without("json"):
            import json
        self.assertEqual(json.loads("1"), 1)


class DeferTests(LateCase):
    def deferred(self, names: dict[str, dict[str, str]]) -> None:
        before = list(sys.meta_path)
        loading.defer(names)
        self.addCleanup(sys.meta_path.__setitem__, slice(None), before)

    def test_names_are_imported_without_their_module(self) -> None:
        """A class from where it is defined, a function once it is called; any other name loads the module."""
        self.written(
            {
                "late_r": "from late_s import Kind\ndef double(x):\n    return 2 * x\nOTHER = 5\n",
                "late_s": "class Kind: pass\n",
                "late_t": "from late_r import Kind, double\nclass Special(Kind): pass\n",
                "late_u": "from late_r import OTHER\n",
            }
        )
        self.deferred({"late_r": {"Kind": "late_s", "double": ""}})
        user = __import__("late_t")
        module = sys.modules["late_r"]
        self.assertFalse(loading.is_loaded(module))
        self.assertEqual(user.double(21), 42)
        self.assertTrue(loading.is_loaded(module))
        self.assertIs(module.Kind, user.Kind)
        self.assertEqual(__import__("late_u").OTHER, 5)

    def test_a_name_is_used_as_what_it_stands_for(self) -> None:
        """Each use loads the module: for looking up, as a class, and what is in it."""
        text = "TABLE = {'a': 1}\nclass Kind:\n    @classmethod\n    def made(cls): return cls()\n"
        for use in (
            lambda late, kind: kind in late.TABLE and late.TABLE["a"] == 1,
            lambda late, kind: late.Kind.made().__class__.__name__ == "Kind",
            lambda late, kind: not isinstance(kind, late.Kind),
        ):
            with self.subTest(use):
                self.written({"late_z": text, "late_aa": "from late_z import TABLE, Kind\n"})
                self.deferred({"late_z": {"TABLE": "", "Kind": ""}})
                user = __import__("late_aa")
                self.assertFalse(loading.is_loaded(sys.modules["late_z"]))
                self.assertTrue(use(user, "a"))
                self.assertTrue(loading.is_loaded(sys.modules["late_z"]))
                sys.modules.pop("late_aa")
                sys.modules.pop("late_z")

    def test_a_class_can_inherit_from_it(self) -> None:
        self.written({"late_ab": "class Kind: pass\n", "late_ac": "from late_ab import Kind\nclass More(Kind): pass\n"})
        self.deferred({"late_ab": {"Kind": ""}})
        more = __import__("late_ac").More
        self.assertEqual(more.__bases__, (sys.modules["late_ab"].Kind,))
        self.assertIsInstance(more(), __import__("late_ac").Kind)

    def test_another_name_loads_the_module(self) -> None:
        self.written({"late_v": "X = 1\n", "late_w": "from late_v import X\n"})
        self.deferred({"late_v": {"double": ""}})
        self.assertEqual(__import__("late_w").X, 1)

    def test_others_are_imported_as_ever(self) -> None:
        self.written({"late_x": "X = 1\n"})
        self.deferred({"late_y": {}})
        self.assertTrue(loading.is_loaded(__import__("late_x")))
