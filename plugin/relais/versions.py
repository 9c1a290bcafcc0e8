"""Versions of the configuration: drafted, checked, approved, activated, rolled back; exactly one is active.

Another version becomes active in one transaction with its audit event; whoever composed the parts looks for that. The
task `activate` is an activation that waits for its time.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from relais import version_rows as rows
from relais.clock import Clock
from relais.configuration import Configuration, ConfigurationErrors
from relais.configuration.differences import Difference, differences, touches_residency
from relais.configuration.documents import digest_of, exposed_secrets, hide_secrets, own
from relais.database import Database
from relais.domain.document import DocumentError, Problem
from relais.domain.examples import ExampleOutcome, Expectation
from relais.domain.priority import Priority
from relais.domain.states import VersionState
from relais.drafts import Check, Seat, Version, check, load_stored
from relais.errors import ConflictError, StateError, UnknownError
from relais.journal import Journal
from relais.tasks import Claim, Tasks

__all__ = ["FILE", "SEED", "Check", "Seat", "Version", "Versions"]

FILE = "relais:file"
"""The author of versions that the file made while it was the source; a colon is in no user's name (RFC 7617)."""
SEED = "relais:seed"
"""The author of the version with which a database began to be the source."""
LANE = "studies"

_UNAPPROVED: dict[str, Any] = {"approved_by": None, "approved_at": None, "approval_comment": None}
_UNSCHEDULED: dict[str, Any] = {"activate_at": None, "activated_by": None}


class Versions:
    """The versions, and the task `activate`."""

    def __init__(self, *, database: Database, clock: Clock, tasks: Tasks, journal: Journal, seat: Seat) -> None:
        self._database = database
        self._clock = clock
        self._tasks = tasks
        self._journal = journal
        self.seat = seat

    @property
    def may_change(self) -> bool:
        """Whether another version can become active while this process runs."""
        return self.seat.source == "Database"

    def seed(self, document: object, digest: str) -> Version:
        """The active version at start; the file's document becomes one where that is due.

        While the file is the source, each new digest does, without its secrets; where the database is, only the first
        one. Also puts the task of every scheduled activation at its time again. Raises ConfigurationErrors where a
        document for the database has a secret in it, or where there are versions and none of them is active.
        """
        with self._database.write() as connection:
            rows.lock(connection)
            former = rows.active(connection)
            for scheduled in rows.in_state(connection, VersionState.Scheduled):
                self._await(connection, scheduled)
            if former is not None and (former.digest == digest or (self.may_change and former.author != FILE)):
                return former
            if former is None and self.may_change and rows.page(connection, None, 1):
                raise ConfigurationErrors((Problem("", "no-active-version"),), self.seat.language)
            author = SEED if self.may_change else FILE
            kept = self._storable(document) if self.may_change else hide_secrets(own(document))
            drafted = rows.insert(
                connection, kept, former, actor=author, comment="", now=self._clock.now(), digest=digest
            )
            return self._make_active(connection, drafted, former, actor=author, comment="")

    def active_configuration(self) -> Configuration:
        """The configuration of the active version, or of the file where that is the source.

        Raises ConfigurationErrors: it is not valid here, or somebody edited it in the database.
        """
        return load_stored(self.seat, self.active() if self.may_change else None)

    def active(self) -> Version:
        """The active version; raises UnknownError before the first one."""
        with self._database.read() as connection:
            found = rows.active(connection)
        if found is None:
            raise UnknownError("version", "Active")
        return found

    def active_digest(self) -> str:
        """The active version's digest; empty before the first one."""
        with self._database.read() as connection:
            return rows.active_digest(connection)

    def get(self, number: int) -> Version:
        """The version of this number; raises UnknownError."""
        with self._database.read() as connection:
            return rows.get(connection, number)

    def listing(self, *, since: int | None = None, limit: int = 50) -> list[Version]:
        """The newest versions, those before number `since` if it is given."""
        with self._database.read() as connection:
            return rows.page(connection, since, limit)

    def check(self, document: object) -> Check:
        """Everything there is to say of a document at once; reads the files of secrets, and nothing else."""
        return check(document, self.seat, self._clock.now())

    def differences(self, number: int, *, against: int | None = None) -> tuple[Difference, ...]:
        """What the version changes of the active one, or of another."""
        after = self.get(number)
        before = self.active() if against is None else self.get(against)
        return differences(before.document, after.document)

    def needs_approval(self, version: Version) -> bool:
        """Whether the active version's policy asks for a second person before this one becomes active."""
        with self._database.read() as connection:
            return _needs_approval(rows.active(connection), version.document)

    def draft(self, document: object, *, based_on: int | None = None, actor: str, comment: str = "") -> Version:
        """Keep a document as a draft, also one that is not valid yet; based on the active version if none is said.

        Raises DocumentError: not an object, too large, or with a secret in it; UnknownError: no such base.
        """
        kept = self._storable(document)
        with self._database.write() as connection:
            rows.lock(connection)
            base = rows.active(connection) if based_on is None else rows.get(connection, based_on)
            drafted = rows.insert(connection, kept, base, actor=actor, comment=comment, now=self._clock.now())
            self._record(connection, "drafted", drafted, actor, BasedOn=drafted.based_on, Comment=comment)
        return drafted

    def revise(self, number: int, document: object, *, digest: str, actor: str, based_on: int | None = None) -> Version:
        """Replace a draft's document; its approval is void then.

        `digest` is the draft's as the editor saw it: where that is another by now, StateError `draft-changed`. With
        `based_on` the editor says that the draft takes that version's changes into account.
        """
        kept = self._storable(document)
        with self._database.write() as connection:
            former = rows.expect(connection, number, VersionState.Draft, digest=digest)
            base = former.based_on if based_on is None else rows.get(connection, based_on).number
            if (digest_of(kept), base) == (former.digest, former.based_on):
                return former
            editors = [*former.editors, *([] if actor in former.editors else [actor])]
            revised = rows.move(
                connection,
                former,
                VersionState.Draft,
                document=kept,
                digest=digest_of(kept),
                based_on=base,
                editors=editors,
                changed_at=self._clock.now(),
                **_UNAPPROVED,
            )
            self._record(connection, "revised", revised, actor, BasedOn=base)
        return revised

    def approve(self, number: int, *, actor: str, comment: str = "", digest: str | None = None) -> None:
        """Agree to a draft as a second person; `digest` is the draft's as the approver saw it.

        Raises StateError: it is no draft, the approver wrote on it (`approval-own`), or it changed (`draft-changed`).
        """
        with self._database.write() as connection:
            former = rows.expect(connection, number, VersionState.Draft, digest=digest)
            if actor in former.editors:
                raise StateError("approval-own", number=str(number))
            approved = rows.move(
                connection,
                former,
                VersionState.Draft,
                approved_by=actor,
                approved_at=self._clock.now(),
                approval_comment=comment,
            )
            self._record(connection, "approved", approved, actor, Comment=comment)

    def activate(self, number: int, *, actor: str, comment: str = "", at: datetime | None = None) -> Version:
        """Make a draft the active version, now or at a time to come, when its gates are asked again.

        Raises ConfigurationErrors: it has problems; StateError: the file is the source, it is no draft, an example
        fails (`examples-fail`), a second person has not approved (`approval-missing`), another version became active
        since it was begun (`version-outdated`, with the differences).
        """
        seen = self.get(number)
        self._examine(seen)
        with self._database.write() as connection:
            former = rows.expect(connection, number, VersionState.Draft, VersionState.Scheduled, digest=seen.digest)
            active = self._pass_gates(connection, former)
            if at is None or at <= self._clock.now():
                return self._make_active(connection, former, active, actor=actor, comment=comment)
            scheduled = rows.move(connection, former, VersionState.Scheduled, activate_at=at, activated_by=actor)
            self._await(connection, scheduled)
            self._record(connection, "scheduled", scheduled, actor, At=at.isoformat(), Comment=comment)
        return scheduled

    def withdraw(self, number: int, *, actor: str, comment: str = "") -> Version:
        """Make a scheduled version a draft again; raises StateError where it is not scheduled."""
        with self._database.write() as connection:
            former = rows.expect(connection, number, VersionState.Scheduled)
            withdrawn = rows.move(connection, former, VersionState.Draft, **_UNSCHEDULED)
            self._record(connection, "withdrawn", withdrawn, actor, Comment=comment)
        return withdrawn

    def roll_back(self, number: int, *, actor: str, comment: str = "") -> Version:
        """A past version's document as a new version, through the same gates.

        It is active when this returns, unless a second person must approve it first: then it is a draft.
        """
        past = self.get(number)
        if past.state is not VersionState.Past:
            raise StateError("version-state", number=str(number), state=past.state.value)
        self._examine(past)
        with self._database.write() as connection:
            rows.lock(connection)
            active = rows.active(connection)
            drafted = rows.insert(
                connection, past.document, active, actor=actor, comment=comment, now=self._clock.now()
            )
            if not _needs_approval(active, drafted.document):
                return self._make_active(connection, drafted, active, actor=actor, comment=comment, RollsBackTo=number)
            self._record(connection, "drafted", drafted, actor, RollsBackTo=number, Comment=comment)
        return drafted

    def discard(self, number: int, *, actor: str, comment: str = "") -> None:
        """Put a draft or a scheduled version away for good; it can still be read."""
        with self._database.write() as connection:
            former = rows.expect(connection, number, VersionState.Draft, VersionState.Scheduled)
            discarded = rows.move(connection, former, VersionState.Discarded, **_UNSCHEDULED)
            self._record(connection, "discarded", discarded, actor, Comment=comment)

    def __call__(self, claim: Claim) -> None:
        """The task `activate`: the gates are asked again; where one is shut, the version is a draft once more."""
        with self._database.read() as connection:
            due = rows.get(connection, claim.payload["Version"])
        if due.state is not VersionState.Scheduled or due.activate_at is None:
            with self._database.write() as connection:
                self._tasks.finish(connection, claim)
            return
        if due.activate_at > self._clock.now():
            with self._database.write() as connection:
                self._tasks.retry(connection, claim, due.activate_at)
            return
        actor = due.activated_by or due.author
        try:
            self._examine(due)
            with self._database.write() as connection:
                former = rows.expect(connection, due.number, VersionState.Scheduled, digest=due.digest)
                active = self._pass_gates(connection, former)
                self._make_active(connection, former, active, actor=actor, comment="", claim=claim)
        except (DocumentError, StateError) as refusal:
            self._refuse(due, refusal, claim)

    def _refuse(self, due: Version, refusal: DocumentError | StateError, claim: Claim) -> None:
        problems = refusal.problems if isinstance(refusal, DocumentError | ConflictError) else ()
        reason = refusal.code if isinstance(refusal, StateError) else "version-invalid"
        paths = [f"{problem.path}: {problem.code}" for problem in problems[:20]]
        with self._database.write() as connection:
            rows.lock(connection)
            former = rows.get(connection, due.number)
            stays = former.state is VersionState.Scheduled and former.activate_at == due.activate_at
            if stays:
                former = rows.move(connection, former, VersionState.Draft, **_UNSCHEDULED)
            self._tasks.finish(connection, claim)
            if stays:
                self._record(connection, "refused", former, "relais", Reason=reason, Problems=paths)

    def _examine(self, version: Version) -> None:
        """The gates that need no transaction: the source, hand edits, problems, examples."""
        number = str(version.number)
        if not self.may_change:
            raise StateError("file-is-the-source")
        if digest_of(version.document) != version.digest:
            raise StateError("version-edited", number=number)
        found = self.check(version.document)
        if found.problems:
            raise ConfigurationErrors(found.problems, self.seat.language)
        if failing := tuple(_failure(each) for each in found.examples if not each.passed):
            raise ConflictError("examples-fail", failing, number=number)

    def _pass_gates(self, connection: Connection, version: Version) -> Version | None:
        """The gates that depend on the active version, which is answered and stays so for this transaction."""
        active = rows.active(connection)
        current = None if active is None else active.number
        if active is not None and version.based_on != current:
            base = {} if version.based_on is None else rows.get(connection, version.based_on).document
            changed = tuple(each.to_problem() for each in differences(base, active.document))
            numbers = {"number": str(version.number), "active": str(current), "base": str(version.based_on or 0)}
            raise ConflictError("version-outdated", changed, **numbers)
        approved = version.approved_by is not None and version.approved_by not in version.editors
        if not approved and _needs_approval(active, version.document):
            raise StateError("approval-missing", number=str(version.number))
        return active

    def _make_active(
        self,
        connection: Connection,
        version: Version,
        former: Version | None,
        *,
        actor: str,
        comment: str,
        claim: Claim | None = None,
        **detail: Any,
    ) -> Version:
        now = self._clock.now()
        if former is not None:
            rows.move(connection, former, VersionState.Past)
        active = rows.move(
            connection, version, VersionState.Active, activate_at=None, activated_at=now, activated_by=actor
        )
        if claim is not None:
            self._tasks.finish(connection, claim)
        before = None if former is None else former.number
        said = {"Former": before, **({"Comment": comment} if comment else {}), **detail}
        self._record(connection, "activated", active, "relais" if actor in (FILE, SEED) else actor, **said)
        return active

    def _await(self, connection: Connection, scheduled: Version) -> None:
        self._tasks.schedule(
            connection,
            kind="activate",
            lane=LANE,
            key=f"activate:{scheduled.number}",
            run_at=scheduled.activate_at or self._clock.now(),
            priority=Priority.Stat,
            payload={"Version": scheduled.number},
        )

    def _storable(self, document: object) -> dict[str, Any]:
        kept = own(document)
        if problems := exposed_secrets(kept):
            raise ConfigurationErrors(problems, self.seat.language)
        return kept

    def _record(self, connection: Connection, verb: str, version: Version, actor: str, **detail: Any) -> None:
        said = {key: value for key, value in detail.items() if value not in ("", None)}
        self._journal.record(
            connection, f"configuration.{verb}", actor=actor, Version=version.number, Digest=version.digest, **said
        )


def _failure(outcome: ExampleOutcome) -> Problem:
    values = {"expected": _fate(outcome.expected), "came": _fate(outcome.came)}
    return Problem(outcome.path, "example-failed", values)


def _fate(fate: Expectation) -> str:
    return ", ".join(fate.deliver_to) if fate.hold is None else f"Hold ({fate.hold})"


def _needs_approval(active: Version | None, document: Mapping[str, Any]) -> bool:
    """What the active version's `Approval` asks for; whoever could edit it first must pass it."""
    if active is None:
        return False
    policy = active.document.get("Approval", "Residency")
    return policy == "Always" or (policy != "Never" and touches_residency(active.document, document))
