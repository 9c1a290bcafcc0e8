"""What would follow if a study were another patient's, or nobody's: shown before it is done, and nothing is changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, RowMapping, select

from relais.clock import Clock
from relais.configuration import Configuration
from relais.database import Database
from relais.database.queries import deliveries, matches
from relais.database.tables import decision
from relais.decide import Studies
from relais.domain.facts import Facts
from relais.domain.states import DeliveryState, MatchKind, MatchState
from relais.identify import Identify
from relais.judgement import JudgedDelivery, judged
from relais.links import find
from relais.residency import restrictions_of


@dataclass(frozen=True, kw_only=True)
class Consequences:
    """`sent`: deliveries of which the destination has images, which stay there; `now`: what would be owed.

    `added` are destinations that would be owed it and were not, `dropped` those that would be no longer; `hold` says
    why the rules would hold the study. `others`: studies that were matched because of the link, to be asked again.
    """

    sent: tuple[RowMapping, ...]
    now: tuple[JudgedDelivery, ...]
    added: tuple[str, ...]
    dropped: tuple[str, ...]
    hold: str | None
    others: int


class Foresight:
    """Tells consequences."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        configuration: Configuration,
        identify: Identify,
        studies: Studies,
    ) -> None:
        self._database = database
        self._clock = clock
        self._configuration = configuration
        self._identify = identify
        self._studies = studies

    def tell(self, study_instance_uid: str, crm_id: str | None, *, undone: bool = False) -> Consequences:
        """What would follow if the study were this patient's (None: nobody's), or (`undone`) waited for a review."""
        with self._database.read() as connection:
            row = find(connection, study_instance_uid, lock=False)
            facts = self._facts(connection, row)
            state = MatchState.Matched if crm_id is not None else MatchState.Unmatched
            about = {} if crm_id is None else self._identify.patient_facts(connection, crm_id)
            facts = facts.model_copy(
                update={"match_state": (MatchState.Review if undone else state).value, "patient": about}
            )
            now = self._clock.now()
            restrictions = restrictions_of(connection, row.id, row.study_instance_uid, now, facts)
            found = judged(
                facts,
                self._configuration,
                now,
                patient=row.patient_id or row.study_instance_uid,
                restrictions=restrictions,
            )
            owed = deliveries.of_studies(connection, [row.id])[row.id]
            holding = matches.one(connection, row.match_id)
            follow = holding is not None and holding.kind == MatchKind.Linked and holding.crm_id != crm_id
            others = len(matches.followers(connection, holding)) if follow and holding is not None else 0
        named = [each.planned.destination for each in found.deliveries]
        before = [each["destination"] for each in owed if each["state"] != DeliveryState.Canceled]
        return Consequences(
            sent=tuple(each for each in owed if each["delivered"]),
            now=found.deliveries,
            added=tuple(each for each in named if each not in before),
            dropped=tuple(each for each in before if each not in named),
            hold=found.decision.hold,
            others=others,
        )

    def _facts(self, connection: Connection, row: Row[Any]) -> Facts:
        """The facts of the last decision; of a study without one, those of now."""
        stored = connection.execute(select(decision.c.facts).where(decision.c.id == row.decision_id)).scalar()
        return self._studies.facts(row.study_instance_uid) if stored is None else Facts.from_json(stored)
