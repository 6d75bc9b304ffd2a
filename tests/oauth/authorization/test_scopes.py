from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.oauth.authorization.scopes import (
    Authority,
    ScopeCatalog,
    attenuate,
    audience,
    authority_of,
    authority_of_scopes,
    covers,
    requestable,
    split,
    vault_scope,
)
from parachute_hub.store.rows import User

CATALOG = ScopeCatalog(
    ("default", "work"),
    {
        "vault": ("vault:read", "vault:write", "vault:admin"),
        "scribe": ("scribe:transcribe", "scribe:admin"),
        "surface": ("surface:read", "surface:admin"),
        "hello": ("hello:wave", "hello:admin"),
    },
)


def member(**vaults: str) -> User:
    return User(
        id="m",
        username="m",
        password_hash="",
        role="member",
        must_change_password=False,
        email=None,
        created_at=0,
        password_changed_at=0,
        vaults=vaults,  # type: ignore[arg-type]
    )


NAMES = st.sampled_from(["default", "work", "other"])
VAULT_SCOPES = st.builds("vault:{}:{}".format, NAMES, st.sampled_from(["read", "write", "admin"]))
SCOPES = st.one_of(
    VAULT_SCOPES,
    st.sampled_from(
        [
            "vault:read",
            "vault:admin",
            "scribe:transcribe",
            "scribe:admin",
            "hello:admin",
            "account:self:admin",
            "parachute:host:admin",
            "parachute:host:auth",
            "hub:admin",
        ]
    ),
)
AUTHORITIES = st.one_of(
    st.builds(authority_of_scopes, st.frozensets(SCOPES, max_size=4)),
    st.dictionaries(NAMES, st.sampled_from(["read", "write"])).map(lambda vaults: authority_of(member(**vaults))),
)
LATTICE = settings(max_examples=150, deadline=None, derandomize=True)


class GrammarTests(SynchronousTestCase):
    def test_what_is_a_scope(self) -> None:
        """Words outside the grammar are dropped; duplicates and the star's spelling are folded."""
        cases = {
            "": (),
            "vault:read vault:read": ("vault:read",),
            "vault:*:write": ("vault:write",),
            "full read": (),
            "Vault:read": (),
            "vault:home:read\tscribe:transcribe": ("vault:home:read", "scribe:transcribe"),
            'vault:"x":read vault:a/b:read vault:é:read :read vault: a:b:c:d': (),
            "account:self:admin": ("account:self:admin",),
        }
        self.assertEqual({text: split(text) for text in cases}, cases)

    def test_a_flood_of_scopes_is_cut(self) -> None:
        """At most fifty are read."""
        self.assertEqual(len(split(" ".join(f"vault:v{n}:read" for n in range(500)))), 50)

    def test_what_apps_may_not_ask_for(self) -> None:
        """The hub's own scopes and scribe's settings, in any case."""
        refused = ["parachute:host:admin", "PARACHUTE:HOST:AUTH", "parachute:host:new", "hub:admin", "scribe:Admin"]
        self.assertFalse(any(requestable(scope) for scope in refused))
        self.assertTrue(requestable("vault:home:admin") and requestable("account:self:admin"))

    @given(st.text(max_size=60))
    @LATTICE
    def test_reading_never_fails(self, text: str) -> None:
        """Any text is a list of scopes, and parsing it again changes nothing."""
        once = split(text)
        self.assertEqual(split(" ".join(once)), once)


class CatalogTests(SynchronousTestCase):
    def test_scopes_exist_with_their_vault_or_module(self) -> None:
        """A vault that exists, what an installed module declares, an account's own; nothing else."""
        known = ["vault:read", "vault:work:admin", "scribe:transcribe", "surface:blog:read", "account:self:read"]
        unknown = ["vault:gone:read", "scribe:fly", "notes:read", "account:other:read", "surface:blog:fly"]
        self.assertEqual([s for s in known + unknown if CATALOG.knows(s)], known)

    def test_a_scope_of_a_module_that_is_not_installed_is_unknown(self) -> None:
        """Even a first-party one."""
        self.assertFalse(ScopeCatalog(("default",), {}).knows("scribe:transcribe"))

    def test_only_harmless_scopes_are_advertised(self) -> None:
        """Clients ask for everything that is listed."""
        self.assertEqual(
            CATALOG.advertised(), ["hello:wave", "scribe:transcribe", "surface:read", "vault:read", "vault:write"]
        )

    def test_words_and_risk(self) -> None:
        """Deleting an account is worse than managing a vault; a module's admin scope is elevated."""
        scopes = ["vault:work:read", "vault:work:admin", "account:self:admin", "hello:wave", "hello:admin", "x:y"]
        self.assertEqual(
            [(CATALOG.explain(s).text, CATALOG.explain(s).risk) for s in scopes],
            [
                ("Read your notes in “work”", "low"),
                ("Manage everything, settings and keys included, in “work”", "elevated"),
                ("Do everything with your account, deleting vaults included", "high"),
                ("Use hello (wave)", "low"),
                ("admin on hello", "elevated"),
                ("y on x", "elevated"),
            ],
        )


class AttenuationTests(SynchronousTestCase):
    def test_users_delegate_by_their_role(self) -> None:
        """A member gives their own vaults by role, and no module's admin scope; an admin everything that may be asked
        for.
        """
        asked = [
            "vault:default:admin",
            "vault:work:read",
            "vault:work:write",
            "vault:other:read",
            "scribe:transcribe",
            "hello:admin",
            "account:self:read",
            "parachute:host:admin",
            "vault:read",
        ]
        self.assertEqual(
            attenuate(asked, authority_of(member(default="write", work="read"))),
            ("vault:default:admin", "vault:work:read", "scribe:transcribe"),
        )

    def test_a_borrowed_vault_gives_no_verb_that_makes_keys(self) -> None:
        """Such keys would outlive the sharing. Who may only read gets no more than that."""
        held = authority_of(evolve(member(own="write", theirs="write", seen="read"), borrowed=("theirs", "seen")))
        asked = [f"vault:{name}:{verb}" for name in ("own", "theirs", "seen") for verb in ("read", "write", "admin")]
        expected = (*asked[:3], "vault:theirs:read", "vault:theirs:write", "vault:seen:read")
        self.assertEqual(attenuate(asked, held), expected)

    def test_tokens_delegate_within_their_scopes(self) -> None:
        """Who may mint what."""
        asked = ["vault:work:read", "vault:work:admin", "scribe:transcribe", "parachute:host:auth", "vault:admin"]
        cases = {
            frozenset({"parachute:host:auth"}): ("vault:work:read", "scribe:transcribe"),
            frozenset({"parachute:host:admin"}): ("vault:work:read", "vault:work:admin"),
            frozenset({"vault:work:admin"}): ("vault:work:read", "vault:work:admin"),
            frozenset({"vault:work:write"}): (),
            frozenset({"vault:default:admin", "scribe:transcribe"}): (),
        }
        self.assertEqual({held: attenuate(asked, authority_of_scopes(held)) for held in cases}, cases)

    @given(st.lists(SCOPES, max_size=6), AUTHORITIES)
    @LATTICE
    def test_never_more_than_asked_nor_than_held(self, asked: list[str], authority: Authority) -> None:
        """Attenuation is a projection: a subset, stable, per scope, and nothing that opens the hub."""
        kept = attenuate(asked, authority)
        self.assertLessEqual(set(kept), set(asked))
        self.assertEqual(attenuate(kept, authority), kept)
        self.assertEqual(set(kept), {s for s in asked if attenuate([s], authority)})
        self.assertFalse(
            [s for s in kept if s.startswith(("parachute:", "hub:")) or s in ("vault:read", "vault:admin")]
        )

    @given(st.frozensets(VAULT_SCOPES, max_size=4), SCOPES)
    @LATTICE
    def test_a_chain_of_mints_never_grows(self, held: frozenset[str], asked: str) -> None:
        """Whatever a minted token could mint, its minter could mint too."""
        first = authority_of_scopes(held)
        if first.allows(asked):
            second = authority_of_scopes(frozenset({asked}))
            for scope in (f"vault:{name}:{verb}" for name in ("default", "work") for verb in ("read", "admin")):
                self.assertLessEqual(second.allows(scope), first.allows(scope))

    def test_a_higher_verb_covers_a_lower_one(self) -> None:
        """A higher verb on the same vault covers a lower one; other resources are compared exactly."""
        self.assertTrue(covers(["vault:a:admin"], "vault:a:read"))
        self.assertTrue(covers(["scribe:transcribe"], "scribe:transcribe"))
        self.assertFalse(covers(["scribe:admin"], "scribe:transcribe"))
        self.assertFalse(covers(["vault:a:read"], "vault:a:write"))

    def test_the_vault_claim_lists_the_limit(self) -> None:
        """No limit is an empty list, as readers expect; a member's vaults are named."""
        self.assertEqual(authority_of(member(work="read", default="write")).vault_claim(), ["default", "work"])
        self.assertEqual(Authority(every_vault="admin").vault_claim(), [])


class AudienceTests(SynchronousTestCase):
    def test_the_audience_follows_from_the_scopes(self) -> None:
        """The module's own word first; the resource URI for vaults; `hub` when no module is meant."""
        uri = "https://hub.test/vault/a/mcp"
        cases = {
            ("vault:a:read", "vault:a:write"): ["vault.a", uri],
            ("vault:a:read", "scribe:transcribe"): ["vault.a", uri, "scribe"],
            ("scribe:transcribe",): "scribe",
            ("surface:admin",): "surface",
            ("surface:blog:read",): "surface.blog",
            ("account:self:read",): "account",
            ("parachute:host:admin", "parachute:host:auth"): "hub",
            ("hub:admin",): "hub",
            ("vault:read",): "hub",
        }
        self.assertEqual({scopes: audience(scopes, "https://hub.test") for scopes in cases}, cases)

    def test_vault_scope_reads_only_real_verbs(self) -> None:
        """`vault:home:fly` is no scope on a vault, so no audience either."""
        self.assertIsNone(vault_scope("vault:home:fly"))
        self.assertEqual(str(vault_scope("vault:home:read")), "vault:home:read")
