"""The first run: claiming the hub, choosing modules, setting its address. Can be interrupted at any point."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred, DeferredLock
from twisted.logger import Logger

from parachute_hub.accounts import validation
from parachute_hub.accounts.model import Clock, NewSession, SignedIn, Visitor
from parachute_hub.accounts.people.users import People, check_password, check_username
from parachute_hub.accounts.sessions import policy
from parachute_hub.accounts.setup import wizard
from parachute_hub.accounts.setup.bootstrap import BootstrapToken
from parachute_hub.accounts.setup.public_origin import HubOrigin
from parachute_hub.accounts.setup.wizard import Input, Offer, Screen, SetupInstalls, SetupProgress
from parachute_hub.accounts.signin.signin import SignIn
from parachute_hub.site.errors import Refused
from parachute_hub.store.settings import StoredSettings
from parachute_hub.store.writer import Write
from parachute_hub.system.networks import opens_only_here
from parachute_hub.system.records import frozen

PROGRESS = "setup_progress"
EXPOSE_MODE = "setup_expose_mode"
EXPOSE_MODES = ("localhost", "tailnet", "public")

SelfCheck = Callable[[str], Awaitable[str | None]]


async def unchecked(origin: str) -> str | None:
    """A self-check that always succeeds."""
    return None


@frozen
class Install:
    """A row of the progress screen: the module, and its job in API form (None if unknown).

    `begun` is False while a question about it is open.
    """

    offer: Offer
    job: Mapping[str, Any] | None
    begun: bool = True

    @property
    def status(self) -> str:
        """`running`, `succeeded`, `failed`, or `pending`."""
        if self.job is None:
            return "succeeded" if self.offer.installed else "failed" if self.begun else "pending"
        return str(self.job.get("status", "pending"))


class Setup:
    """The wizard's answers, stored in the settings so that it can be resumed."""

    _log = Logger()

    def __init__(
        self,
        *,
        people: People,
        sign_in: SignIn,
        stored: StoredSettings,
        write: Write,
        origin: HubOrigin,
        installs: SetupInstalls,
        self_check: SelfCheck,
        has_owner: Callable[[], bool],
        clock: Clock,
    ) -> None:
        self._people = people
        self._sign_in = sign_in
        self._stored = stored
        self._write = write
        self._origin = origin
        self._installs = installs
        self._self_check = self_check
        self._has_owner = has_owner
        self._clock = clock
        self.token: BootstrapToken | None = None
        self.warning: str | None = None
        self._one_by_one = DeferredLock()

    @property
    def has_owner(self) -> bool:
        return self._has_owner()

    @property
    def progress(self) -> SetupProgress:
        """The answers so far."""
        return SetupProgress.from_text(self._stored.get(PROGRESS))

    def screen(self) -> Screen:
        """The next question."""
        return wizard.screen(self.progress, has_owner=self.has_owner)

    @property
    def expose_mode(self) -> str | None:
        """The owner's answer to how the hub is reached."""
        return self._stored.get(EXPOSE_MODE)

    async def claim(self, token: str, username: str, password: str, again: str, visitor: Visitor) -> NewSession | None:
        """Become the owner; None if there already is one. Of concurrent requests exactly one succeeds.

        Raises Refused 400, 401, 413 or 429.
        """
        if self.has_owner:
            return None
        bootstrap = self.check_token(token)
        username = username.strip()
        check_username(username, owner=True)
        check_password(password, username)
        if password != again:
            raise Refused(400, "passwords_differ", "The passwords do not match. Type them again.")
        owner = await self._people.first_owner(username, password)
        if owner is None:
            return None
        bootstrap.spend()
        return await self._sign_in.enter(owner, visitor, methods=f"pwd {policy.CLAIM_METHOD}", action="first-sign-in")

    def check_token(self, token: str) -> BootstrapToken:
        """The setup token of this boot. Raises Refused 401 or 429 unless it was presented."""
        if self.token is None or not self.token.accepts(token):
            raise self._token_refused()
        return self.token

    def offers(self) -> Sequence[Offer]:
        """The modules that can be installed."""
        return self._installs.offers()

    async def choose(self, wanted: Sequence[str]) -> None:
        """Choose the modules to install, possibly none."""
        offered = [offer.short for offer in self.offers() if not offer.installed]
        unknown = [short for short in wanted if short not in [offer.short for offer in self.offers()]]
        if unknown:
            raise Refused(400, "unknown_module", f"There is no module named {unknown[0][:64]!r}.")

        def answer(progress: SetupProgress) -> SetupProgress:
            self._check(progress, "choose")
            return wizard.choose(progress, wanted, offered)

        await self._change(answer)
        await self._begin_when_ready({})

    async def name_vault(self, name: str) -> None:
        """Name the first vault. Raises Refused 400."""
        name = name.strip() or validation.DEFAULT_VAULT
        problem = validation.vault_name_problem(name)
        if problem is not None:
            raise Refused(400, "invalid_vault_name", problem)

        def answer(progress: SetupProgress) -> SetupProgress:
            self._check(progress, "vault")
            chosen = progress if progress.chosen is not None else wizard.choose(progress, ["vault"], ["vault"])
            return evolve(chosen, vault_name=name)

        await self._change(answer)
        await self._begin_when_ready({})

    async def settle_scribe(self, key: str) -> None:
        """Set the transcription provider's API key; empty skips it. The key goes to the module and is not stored."""
        key = key.strip()
        if len(key) > 500 or not key.isprintable() or " " in key:
            raise Refused(400, "invalid_key", "That does not look like a key. Copy it again, or choose Later.")

        def answer(progress: SetupProgress) -> SetupProgress:
            self._check(progress, "scribe")
            return evolve(progress, scribe_settled=True)

        await self._change(answer)
        await self._begin_when_ready({"TRANSCRIBE_PROVIDER": "openai", "OPENAI_API_KEY": key} if key else {})

    async def install(self, short: str, *, lean: bool = False) -> str:
        """Install a module, or retry after a failure; `lean` leaves out optional dependencies. Returns the job's id."""
        return await self._one_by_one.run(lambda: Deferred.fromCoroutine(self._install(short, lean)))

    async def _install(self, short: str, lean: bool) -> str:
        progress = self.progress
        self._check(progress, "install")
        job_id = progress.jobs.get(short)
        job = self._installs.job(job_id) if job_id else None
        if job_id and job is not None:
            if job.get("status") != "failed":
                return job_id
            new = await self._installs.retry(job_id, lean=lean)
        elif short in [offer.short for offer in self.offers()]:
            named = evolve(progress, vault_name=progress.vault_name or validation.DEFAULT_VAULT)
            new = await self._installs.begin(short, wizard.options(short, named, {}))
        else:
            raise Refused(404, "not_found", "There is no such module.")
        await self._change(partial(wizard.begun, short=short, job_id=new))
        await self._begin({})
        return new

    def installs(self) -> list[Install]:
        """The installs and their progress."""
        offers = {offer.short: offer for offer in self.offers()}
        progress = self.progress
        installs = []
        for short in progress.chosen or ():
            job_id = progress.jobs.get(short)
            offer = offers.get(short, Offer(short=short, name=short, tagline=""))
            job = self._installs.job(job_id) if job_id else None
            installs.append(Install(offer, job, begun=job_id is not None))
        return installs

    async def go_on(self) -> None:
        """Leave the progress screen; running installs continue."""

        def answer(progress: SetupProgress) -> SetupProgress:
            self._check(progress, "continue")
            return wizard.seen(progress)

        await self._change(answer)

    def needs_proof(self, signed_in: SignedIn, mode: str, origin: str) -> bool:
        """True if `reach` with this answer needs the password: it changes the hub's address, and this browser session
        did not just claim the hub.
        """
        claiming = policy.claims(signed_in.session, self._clock())
        return mode != "localhost" and self._origin.would_move(origin) and not claiming

    async def reach(self, mode: str, origin: str) -> str | None:
        """Store how the hub is reached. Returns a warning if it may not be.

        Raises Refused 400 for an invalid mode or address, 409 if already answered: later changes need a step-up proof.
        """
        self._check(self.progress, "reach")
        if mode not in EXPOSE_MODES:
            raise Refused(400, "invalid_request", "Choose how this hub is reached.")
        if mode != "localhost" and origin.strip():
            await self._origin.choose(origin, self._clock())

        def answer(progress: SetupProgress) -> SetupProgress:
            self._check(progress, "reach")
            self._stored.put(EXPOSE_MODE, mode, self._clock())
            return wizard.reach(progress)

        await self._change(answer)
        self.warning = await self._doubt(self._origin.issuer()) if mode != "localhost" else None
        return self.warning

    async def _doubt(self, issuer: str) -> str | None:
        """Why others may not reach the hub at this address."""
        if opens_only_here(issuer):
            return (
                f"Only this computer opens {issuer}. "
                "Settings can open a way for your other devices, under \u201cFrom your phone\u201d."
            )
        return await self._self_check(issuer)

    async def _begin_when_ready(self, environment: Mapping[str, str]) -> None:
        """Start the chosen installs once all their questions are answered; idempotent across concurrent answers."""
        await self._one_by_one.run(lambda: Deferred.fromCoroutine(self._begin(environment)))

    async def _begin(self, environment: Mapping[str, str]) -> None:
        progress = self.progress
        if wizard.screen(progress, has_owner=True) != "installing":
            return  # A question is open, or there is nothing left to begin.
        for short in progress.missing_jobs:
            job_id = await self._installs.begin(short, wizard.options(short, progress, environment))
            await self._change(partial(wizard.begun, short=short, job_id=job_id))

    def _check(self, progress: SetupProgress, given: Input) -> None:
        """Raises Refused 409 for an answer that the wizard does not take now."""
        why = wizard.refusal(progress, given, has_owner=self.has_owner)
        if why is not None:
            raise Refused(409, "already_chosen" if given in ("choose", "reach") else "not_now", why)

    async def _change(self, answer: Callable[[SetupProgress], SetupProgress]) -> None:
        """Compute and store new progress within one transaction."""

        def decide() -> None:
            self._stored.put(PROGRESS, answer(self.progress).to_text(), self._clock())

        await self._write(decide)

    def _token_refused(self) -> Refused:
        wait = self.token.wait() if self.token else 0.0
        if wait > 0:
            seconds = int(wait) + 1
            return Refused(
                429,
                "too_many_attempts",
                "Too many wrong tokens. Copy the token from the hub's log exactly as shown.",
                headers={"Retry-After": str(seconds)},
            )
        if self.token is not None and self.token.expired:
            return Refused(
                401, "bootstrap_token_expired", "The setup token is older than a day. Restart the hub to get a new one."
            )
        return Refused(
            401,
            "bootstrap_token_rejected",
            "That is not the setup token. Find it in the hub's log, in the lines that begin with [wizard].",
        )
