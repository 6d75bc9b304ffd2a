"""The wizard's next question, from any state of the answers."""

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.accounts.setup import wizard
from parachute_hub.accounts.setup.wizard import Input, SetupProgress, screen

BOTH = ("vault", "scribe")


class ScreenTests(SynchronousTestCase):
    def test_the_first_open_question_is_shown(self) -> None:
        for has_owner, progress, expected in (
            (False, SetupProgress(), "account"),
            (False, SetupProgress(reached=True), "account"),
            (True, SetupProgress(), "modules"),
            (True, SetupProgress(chosen=()), "reach"),
            (True, SetupProgress(chosen=BOTH), "vault-name"),
            (True, SetupProgress(chosen=BOTH, vault_name="x"), "scribe-key"),
            (True, SetupProgress(chosen=BOTH, vault_name="x", scribe_settled=True), "installing"),
            (True, SetupProgress(chosen=("notes",)), "installing"),
            (True, SetupProgress(chosen=("scribe",)), "scribe-key"),
            (True, SetupProgress(chosen=BOTH, vault_name="x", jobs={"vault": "1"}), "scribe-key"),
            (True, SetupProgress(chosen=("notes",), jobs={"notes": "1"}, installs_seen=True), "reach"),
            (True, SetupProgress(chosen=("notes",), jobs={"notes": "1"}, installs_seen=True, reached=True), "done"),
            (True, SetupProgress(chosen=(), reached=True), "done"),
        ):
            self.assertEqual(screen(progress, has_owner=has_owner), expected, progress)

    def test_scripts_get_the_older_step_names(self) -> None:
        self.assertEqual(
            [wizard.STEPS[one] for one in ("account", "modules", "installing", "reach", "done")],
            ["welcome", "vault", "vault", "expose", "done"],
        )

    @settings(max_examples=100, derandomize=True, deadline=None)
    @given(
        st.builds(
            SetupProgress,
            chosen=st.none() | st.lists(st.sampled_from(["vault", "notes", "scribe"]), unique=True).map(tuple),
            vault_name=st.none() | st.just("mine"),
            scribe_settled=st.booleans(),
            jobs=st.dictionaries(st.sampled_from(["vault", "notes", "scribe"]), st.just("job")),
            installs_seen=st.booleans(),
            reached=st.booleans(),
        )
    )
    def test_stored_and_read_back(self, progress: SetupProgress) -> None:
        self.assertEqual(SetupProgress.from_text(progress.to_text()), progress)

    def test_every_path_ends(self) -> None:
        """Answering every question leads to the end, whatever was chosen."""
        for chosen in ((), ("vault",), ("notes",), ("scribe",), ("vault", "notes", "scribe")):
            progress = SetupProgress()
            asked = []
            while (now := screen(progress, has_owner=True)) != "done":
                asked.append(now)
                self.assertLessEqual(len(asked), 6, asked)
                match now:
                    case "modules":
                        progress = wizard.choose(progress, chosen, ("vault", "notes", "scribe"))
                    case "vault-name":
                        progress = evolve(progress, vault_name="default")
                    case "scribe-key":
                        progress = evolve(progress, scribe_settled=True)
                    case "installing":
                        for short in progress.missing_jobs:
                            progress = wizard.begun(progress, short, "job")
                        progress = wizard.seen(progress)
                    case "reach":
                        progress = wizard.reach(progress)
            self.assertEqual(len(asked), len(set(asked)))

    def test_which_answers_are_taken_where(self) -> None:
        """Each state with each input: `+` is taken, `-` refused with a sentence."""
        inputs: tuple[Input, ...] = ("choose", "vault", "scribe", "install", "continue", "reach")
        jobs = {"vault": "1", "scribe": "2"}
        named = SetupProgress(chosen=BOTH, vault_name="x")
        for state, progress, taken in (
            ("modules", SetupProgress(), "++-+-+"),
            ("modules", SetupProgress(reached=True), "++-+--"),
            ("vault-name", SetupProgress(chosen=BOTH), "++-+-+"),
            ("vault-name", SetupProgress(chosen=BOTH, jobs={"scribe": "2"}), "-+-+-+"),
            ("scribe-key", named, "++++-+"),
            ("scribe-key", SetupProgress(chosen=("scribe",)), "+-++-+"),
            ("installing", evolve(named, scribe_settled=True), "---+++"),
            ("installing", evolve(named, jobs=jobs), "---+++"),
            ("reach", SetupProgress(chosen=()), "+--+++"),
            ("reach", evolve(named, jobs=jobs, installs_seen=True), "---+++"),
            ("done", evolve(named, jobs=jobs, installs_seen=True, reached=True), "---++-"),
        ):
            self.assertEqual(screen(progress, has_owner=True), state, progress)
            found = "".join("-" if wizard.refusal(progress, one, has_owner=True) else "+" for one in inputs)
            self.assertEqual(found, taken, progress)
        self.assertEqual({wizard.refusal(SetupProgress(), one, has_owner=False) is None for one in inputs}, {False})

    def test_the_address_may_be_answered_first(self) -> None:
        """What is open stays open, and what runs goes on by itself."""
        for before, after in (
            (SetupProgress(), "modules"),
            (SetupProgress(chosen=BOTH), "vault-name"),
            (SetupProgress(chosen=BOTH, vault_name="x"), "scribe-key"),
            (SetupProgress(chosen=("notes",)), "installing"),
            (SetupProgress(chosen=("notes",), jobs={"notes": "1"}), "done"),
            (SetupProgress(chosen=()), "done"),
        ):
            self.assertEqual(screen(wizard.reach(before), has_owner=True), after, before)

    def test_install_options_follow_from_the_answers(self) -> None:
        progress = SetupProgress(chosen=BOTH, vault_name="mine")
        self.assertEqual(wizard.options("vault", progress, {"K": "v"}), {"first_vault": "mine"})
        self.assertEqual(wizard.options("scribe", progress, {"K": "v"}), {"environment": {"K": "v"}})
        self.assertEqual(wizard.options("scribe", progress, {}), {})
        self.assertEqual(wizard.options("notes", progress, {"K": "v"}), {})

    def test_the_choice_opens_again_until_something_installs(self) -> None:
        self.assertTrue(wizard.may_reopen(SetupProgress(chosen=()), "vault", has_owner=True))
        self.assertFalse(
            wizard.may_reopen(SetupProgress(chosen=("notes",), jobs={"notes": "1"}), "vault", has_owner=True)
        )
        self.assertFalse(wizard.may_reopen(SetupProgress(chosen=()), "account", has_owner=True))
        self.assertFalse(wizard.may_reopen(SetupProgress(chosen=()), "modules", has_owner=False))
