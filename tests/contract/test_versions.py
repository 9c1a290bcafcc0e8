"""Versions of the configuration, on both databases: drafts, gates, approval, activation, and what is refused."""

import json
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import delete, select, text, update

from relais import version_rows
from relais.audit import verify
from relais.configuration import ConfigurationErrors
from relais.configuration.documents import LARGEST, digest_of, read_text
from relais.database import Database, queries
from relais.database.configuration_tables import version as table
from relais.database.database import MIGRATIONS
from relais.database.tables import audit, decision, event, study
from relais.database.tables import task as task_table
from relais.domain.document import DocumentError
from relais.domain.states import VersionState
from relais.errors import ConflictError, StateError, UnknownError
from relais.journal import Journal
from relais.tasks import Claim, Tasks
from relais.versions import FILE, SEED, Seat, Version, Versions
from tests.servers.clock import FakeClock

HOUR = timedelta(hours=1)
QUEBEC = {"Storage": "CA-QC", "Access": ["CA-QC"]}
VNA: dict[str, Any] = {"Kind": "Dicom", "Aet": "VNA", "Host": "10.0.0.9", "Port": 104, "Jurisdiction": QUEBEC}
FIRST: dict[str, Any] = {"Destinations": {"vna": VNA}, "Rules": [{"Name": "all", "DeliverTo": ["vna"]}]}
FREE = FIRST | {"Approval": "Never"}


def with_quiet(document: Mapping[str, Any], seconds: int) -> dict[str, Any]:
    """A change that bears on nobody's residency."""
    return {**document, "Completeness": {"QuietSeconds": seconds}}


def seat(database: Database, folder: Path, source: str = "Database") -> Seat:
    url = database.engine.url.render_as_string(hide_password=False)
    return Seat(directory=folder, source=source, database=url, section={"Language": "en"})


@pytest.fixture
def versions(database: Database, clock: FakeClock, tasks: Tasks, journal: Journal, tmp_path: Path) -> Versions:
    found = Versions(database=database, clock=clock, tasks=tasks, journal=journal, seat=seat(database, tmp_path))
    found.seed(FREE, digest_of(FREE))
    return found


def reseed(versions: Versions, database: Database, document: Mapping[str, Any]) -> Version:
    """Begin with another first version."""
    with database.write() as connection:
        connection.execute(
            update(table).where(table.c.number == 1).values(document=dict(document), digest=digest_of(document))
        )
    return versions.get(1)


def actions(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.execute(select(audit.c.action).order_by(audit.c.number)).scalars())


def activated(versions: Versions, ready: threading.Barrier, drafted: Version) -> Version | ConflictError:
    """What became of it, once all others are ready too."""
    ready.wait(10)
    try:
        return versions.activate(drafted.number, actor=drafted.author)
    except ConflictError as refusal:
        return refusal


def edit(database: Database, number: int, **values: Any) -> None:
    with database.write() as connection:
        connection.execute(update(table).where(table.c.number == number).values(**values))


def due(tasks: Tasks) -> list[Claim]:
    return tasks.claim(tasks.due({"studies": 4}))


def test_the_section_seeds_the_first_version_and_no_other(versions: Versions, database: Database) -> None:
    first = versions.active()
    assert (first.number, first.author, first.state) == (1, SEED, VersionState.Active)
    assert first.document == FREE
    other = with_quiet(FREE, 5)
    assert versions.seed(other, digest_of(other)) == first
    assert versions.active_configuration().digest == first.digest
    assert versions.active_configuration().database == versions.seat.database
    assert actions(database) == ["configuration.activated"]


def test_each_digest_of_the_file_becomes_the_active_version(
    database: Database, clock: FakeClock, tasks: Tasks, journal: Journal, tmp_path: Path
) -> None:
    of_file = Versions(
        database=database, clock=clock, tasks=tasks, journal=journal, seat=seat(database, tmp_path, "File")
    )
    with pytest.raises(UnknownError):
        of_file.active()
    section = {**FIRST, "Database": "sqlite:///x", "ConfigurationSource": "File"}
    assert [of_file.seed(section, "one").number for _ in range(2)] == [1, 1]
    assert of_file.active().document == FIRST
    assert of_file.seed(with_quiet(FIRST, 5), "two").number == 2
    assert of_file.seed(section, "one").number == 3
    assert [(each.number, each.state, each.author) for each in of_file.listing()] == [
        (3, VersionState.Active, FILE),
        (2, VersionState.Past, FILE),
        (1, VersionState.Past, FILE),
    ]
    drafted = of_file.draft(with_quiet(FIRST, 9), actor="alice")
    with pytest.raises(StateError, match="file-is-the-source"):
        of_file.activate(drafted.number, actor="alice")
    with pytest.raises(StateError, match="file-is-the-source"):
        of_file.roll_back(1, actor="alice")
    by_database = Versions(database=database, clock=clock, tasks=tasks, journal=journal, seat=seat(database, tmp_path))
    assert by_database.seed(FREE, digest_of(FREE)).author == SEED
    assert by_database.active().document == FREE


def test_a_draft_is_checked_approved_and_activated(versions: Versions, database: Database) -> None:
    reseed(versions, database, FIRST)
    wanted = {**FIRST, "Destinations": {"vna": {**VNA, "Host": "10.9.9.9"}}}
    drafted = versions.draft(wanted, actor="alice", comment="moves house")
    assert (drafted.state, drafted.based_on, drafted.comment) == (VersionState.Draft, 1, "moves house")
    assert versions.check(wanted).problems == ()
    assert versions.needs_approval(drafted)
    (found,) = versions.differences(drafted.number)
    assert (found.path, found.before, found.after) == ("Destinations.vna.Host", "10.0.0.9", "10.9.9.9")
    with pytest.raises(StateError, match="approval-missing"):
        versions.activate(drafted.number, actor="alice")
    with pytest.raises(StateError, match="approval-own"):
        versions.approve(drafted.number, actor="alice")
    versions.approve(drafted.number, actor="bob", comment="I called them", digest=drafted.digest)
    active = versions.activate(drafted.number, actor="alice", comment="as agreed")
    assert (active.state, active.activated_by, active.approved_by) == (VersionState.Active, "alice", "bob")
    assert versions.active() == active
    assert versions.get(1).state is VersionState.Past
    assert versions.active_configuration().destinations["vna"].address == "VNA@10.9.9.9:104"
    assert actions(database) == [
        "configuration.activated",
        "configuration.drafted",
        "configuration.approved",
        "configuration.activated",
    ]
    assert [each.reason for each in verify(database)] == [None]


def test_an_approval_is_void_when_the_draft_changes(versions: Versions, database: Database) -> None:
    reseed(versions, database, FIRST | {"Approval": "Always"})
    drafted = versions.draft(FREE, actor="alice")
    versions.approve(drafted.number, actor="bob")
    revised = versions.revise(drafted.number, with_quiet(FREE, 4), digest=drafted.digest, actor="carol")
    assert (revised.approved_by, revised.editors) == (None, ("alice", "carol"))
    for editor in ("alice", "carol"):
        with pytest.raises(StateError, match="approval-own"):
            versions.approve(drafted.number, actor=editor)
    with pytest.raises(StateError, match="draft-changed"):
        versions.approve(drafted.number, actor="bob", digest=drafted.digest)
    with pytest.raises(StateError, match="approval-missing"):
        versions.activate(drafted.number, actor="alice")
    versions.approve(drafted.number, actor="bob", digest=revised.digest)
    assert versions.revise(drafted.number, with_quiet(FREE, 4), digest=revised.digest, actor="carol").approved_by
    assert versions.activate(drafted.number, actor="carol").state is VersionState.Active


def test_the_active_versions_policy_decides(versions: Versions, database: Database) -> None:
    reseed(versions, database, FIRST)
    drafted = versions.draft(FREE, actor="alice")
    with pytest.raises(StateError, match="approval-missing"):  # who could lift the policy must pass it
        versions.activate(drafted.number, actor="alice")
    harmless = versions.draft(with_quiet(FIRST, 3), actor="alice")
    assert not versions.needs_approval(harmless)
    assert versions.activate(harmless.number, actor="alice").state is VersionState.Active


def test_two_people_do_not_overwrite_each_other(versions: Versions) -> None:
    drafted = versions.draft(with_quiet(FREE, 1), actor="alice")
    versions.revise(drafted.number, with_quiet(FREE, 2), digest=drafted.digest, actor="bob")
    with pytest.raises(StateError, match="draft-changed") as refusal:
        versions.revise(drafted.number, with_quiet(FREE, 3), digest=drafted.digest, actor="alice")
    assert refusal.value.values == {"number": "2", "editor": "bob"}
    assert versions.get(drafted.number).document == with_quiet(FREE, 2)


def test_a_draft_from_an_old_version_is_told_what_changed(versions: Versions) -> None:
    late = versions.draft(with_quiet(FREE, 1), actor="alice")
    early = versions.draft(with_quiet(FREE, 2), actor="bob")
    versions.activate(early.number, actor="bob")
    with pytest.raises(ConflictError, match="version-outdated") as refusal:
        versions.activate(late.number, actor="alice")
    assert [problem.path for problem in refusal.value.problems] == ["Completeness"]
    assert refusal.value.values == {"number": "2", "active": "3", "base": "1"}
    assert versions.active().number == early.number
    versions.revise(late.number, late.document, digest=late.digest, actor="alice", based_on=early.number)
    assert versions.activate(late.number, actor="alice").number == late.number


def test_of_two_who_activate_at_once_one_wins_and_the_other_hears_what_changed(versions: Versions) -> None:
    for turn in range(8):
        base = versions.active().number
        drafts = [
            versions.draft(with_quiet(FREE, 10 + 2 * turn + place), actor=name)
            for place, name in enumerate(("alice", "bob"))
        ]
        ready = threading.Barrier(2)

        with ThreadPoolExecutor(2) as pool:
            outcomes = list(pool.map(partial(activated, versions, ready), drafts))
        (winner,) = [each for each in outcomes if isinstance(each, Version)]
        (refusal,) = [each for each in outcomes if isinstance(each, ConflictError)]
        assert refusal.code == "version-outdated"
        assert refusal.values["active"] == str(winner.number)
        assert refusal.problems
        assert versions.active() == winner
        assert versions.get(base).state is VersionState.Past


def test_a_version_with_problems_stays_a_draft(versions: Versions) -> None:
    before = versions.active()
    wrong = {**FREE, "Rules": [{"Name": "a", "DeliverTo": ["vnaa"]}], "Nonsense": 1}
    drafted = versions.draft(wrong, actor="alice")
    with pytest.raises(ConfigurationErrors) as refusal:
        versions.activate(drafted.number, actor="alice")
    assert {problem.path for problem in refusal.value.problems} == {"Rules[0].DeliverTo[0]", "Nonsense"}
    assert versions.get(drafted.number).state is VersionState.Draft
    assert versions.active() == before


def test_a_version_whose_examples_fail_stays_a_draft(versions: Versions) -> None:
    example = {"Facts": {"Series": [{"Modality": "CT"}]}, "DeliverTo": []}
    failing = {**FREE, "Rules": [{"Name": "all", "DeliverTo": ["vna"], "Examples": [example]}]}
    drafted = versions.draft(failing, actor="alice")
    (outcome,) = versions.check(failing).examples
    assert not outcome.passed
    with pytest.raises(ConflictError, match="examples-fail") as refusal:
        versions.activate(drafted.number, actor="alice")
    assert [problem.path for problem in refusal.value.problems] == ["Rules[0].Examples[0]"]
    assert versions.active().number == 1


def test_an_activation_waits_for_its_time(
    versions: Versions, database: Database, tasks: Tasks, clock: FakeClock
) -> None:
    drafted = versions.draft(with_quiet(FREE, 2), actor="alice")
    scheduled = versions.activate(drafted.number, actor="alice", at=clock.now() + HOUR)
    assert (scheduled.state, scheduled.activate_at) == (VersionState.Scheduled, clock.now() + HOUR)
    assert due(tasks) == []
    with pytest.raises(StateError, match="version-state"):
        versions.revise(drafted.number, FREE, digest=drafted.digest, actor="alice")
    clock.advance(HOUR)
    (claim,) = due(tasks)
    versions(claim)
    active = versions.active()
    assert (active.number, active.activated_by, active.activated_at) == (drafted.number, "alice", clock.now())
    with database.read() as connection:
        assert connection.execute(select(task_table)).all() == []


def test_a_scheduled_activation_whose_gate_shut_becomes_a_draft_and_tells(
    versions: Versions, database: Database, tasks: Tasks, clock: FakeClock
) -> None:
    scheduled = versions.draft(with_quiet(FREE, 2), actor="alice")
    versions.activate(scheduled.number, actor="alice", at=clock.now() + HOUR)
    other = versions.draft(with_quiet(FREE, 3), actor="bob")
    versions.activate(other.number, actor="bob")
    clock.advance(HOUR)
    (claim,) = due(tasks)
    versions(claim)
    again = versions.get(scheduled.number)
    assert (again.state, again.activate_at) == (VersionState.Draft, None)
    assert versions.active().number == other.number
    assert actions(database)[-1] == "configuration.refused"
    with database.read() as connection:
        (told,) = connection.execute(select(event)).all()
        assert (told.type, told.data["Version"], told.data["Reason"]) == (
            "configuration.refused",
            scheduled.number,
            "version-outdated",
        )
        assert connection.execute(select(task_table)).all() == []


def test_what_was_withdrawn_or_discarded_does_not_become_active(
    versions: Versions, tasks: Tasks, clock: FakeClock
) -> None:
    withdrawn, discarded = [versions.draft(with_quiet(FREE, n), actor="alice") for n in (2, 3)]
    for each in (withdrawn, discarded):
        versions.activate(each.number, actor="alice", at=clock.now() + HOUR)
    assert versions.withdraw(withdrawn.number, actor="bob").state is VersionState.Draft
    versions.discard(discarded.number, actor="bob")
    clock.advance(HOUR)
    for claim in due(tasks):
        versions(claim)
    assert versions.active().number == 1
    assert versions.get(discarded.number).state is VersionState.Discarded
    for change in (versions.activate, versions.approve, versions.discard, versions.withdraw):
        with pytest.raises(StateError, match="version-state"):
            change(discarded.number, actor="carol")


def test_a_start_finds_what_was_scheduled(
    versions: Versions, database: Database, tasks: Tasks, clock: FakeClock
) -> None:
    drafted = versions.draft(with_quiet(FREE, 2), actor="alice")
    versions.activate(drafted.number, actor="alice", at=clock.now() + HOUR)
    with database.write() as connection:
        connection.execute(update(task_table).values(run_at=clock.now() + 5 * HOUR))
    versions.seed(FREE, digest_of(FREE))
    clock.advance(HOUR)
    (claim,) = due(tasks)
    versions(claim)
    assert versions.active().number == drafted.number


def test_rolling_back_makes_a_new_version_through_the_same_gates(versions: Versions, database: Database) -> None:
    second = versions.draft(with_quiet(FREE, 2), actor="alice")
    versions.activate(second.number, actor="alice")
    third = versions.roll_back(1, actor="bob", comment="it was better")
    assert (third.number, third.state, third.document) == (3, VersionState.Active, FREE)
    assert third.digest == versions.get(1).digest
    with pytest.raises(StateError, match="version-state"):
        versions.roll_back(3, actor="bob")
    strict = versions.draft(FREE | {"Approval": "Always"}, actor="alice")
    versions.approve(strict.number, actor="bob")
    versions.activate(strict.number, actor="alice")
    back = versions.roll_back(1, actor="bob")
    assert back.state is VersionState.Draft
    assert versions.active().number == strict.number
    versions.approve(back.number, actor="alice")
    assert versions.activate(back.number, actor="bob").number == back.number
    assert [each.reason for each in verify(database)] == [None]


def test_a_version_that_was_edited_by_hand_is_refused(versions: Versions, database: Database) -> None:
    drafted = versions.draft(with_quiet(FREE, 2), actor="alice")
    edit(database, drafted.number, document=with_quiet(FREE, 99))
    with pytest.raises(StateError, match="version-edited"):
        versions.activate(drafted.number, actor="alice")
    assert versions.active_configuration().digest == digest_of(FREE)
    edit(database, 1, document=with_quiet(FREE, 99))
    with pytest.raises(ConfigurationErrors) as refusal:
        versions.active_configuration()
    assert [problem.code for problem in refusal.value.problems] == ["version-edited"]
    assert "version 1 " in str(refusal.value)


def test_a_row_that_was_edited_into_nonsense_does_not_stand_in_the_way_of_others(
    versions: Versions, database: Database
) -> None:
    drafted = versions.draft(with_quiet(FREE, 2), actor="alice")
    broken = '"nothing"' if not database.sqlite else '{"Rules": ['
    with database.write() as connection:
        connection.execute(text("UPDATE version SET document = :text, state = 'Drfat'"), {"text": broken})
    with pytest.raises(StateError, match="version-edited"):
        versions.activate(drafted.number, actor="alice")
    assert [each.document for each in versions.listing()] == [{}, {}]
    edit(database, 1, state="Active")
    with pytest.raises(ConfigurationErrors, match="version 1 was edited"):
        versions.active_configuration()


def test_without_an_active_version_nothing_is_guessed(versions: Versions, database: Database) -> None:
    edit(database, 1, state="Past")
    with pytest.raises(ConfigurationErrors, match="none is active"):
        versions.seed(FREE, digest_of(FREE))
    assert [each.number for each in versions.listing()] == [1]


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ([], "document-not-object"),
        ("text", "document-not-object"),
        (None, "document-not-object"),
        ({"Rules": "x" * LARGEST}, "document-too-large"),
        ({"Otherwise": {"Hold": "a\x00b"}}, "bad-text"),
        ({"Subscribers": {"crm": {"Secret": "d2hlZXpl"}}}, "literal-secret"),
        ({"Destinations": {"x": {"Kind": "Files", "Password": "hush"}}}, "literal-secret"),
        ({"Destinations": {"x": {"Deidentify": {"Key": "0123456789abcdef"}}}}, "literal-secret"),
        ({"Destinations": {"x": {"Url": "https://me:hush@there/"}}}, "literal-secret"),
    ],
)
def test_what_cannot_be_kept_is_not_drafted(versions: Versions, document: object, code: str) -> None:
    before = versions.listing()
    with pytest.raises(DocumentError) as refusal:
        versions.draft(document, actor="alice")
    assert [problem.code for problem in refusal.value.problems] == [code]
    assert "hush" not in str(refusal.value)
    assert versions.listing() == before
    assert [problem.code for problem in versions.check(document).problems][:1] == [code]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("[]", "document-not-object"),
        ('{"Rules": [], "Rules": []}', "repeated-key"),
        ('{"Relais": {"Destinations": {"a": {}, "a": {}}}}', "repeated-key"),
        ('{"Rules": [], }', "document-not-json"),
        ("{} // note", "document-not-json"),
        ('{"Completeness": {"QuietSeconds": NaN}}', "document-unreadable"),
        ("[" * 100_000, "document-too-deep"),
        (b'{"a": "\xff"}', "document-unreadable"),
        (json.dumps({"Rules": "x" * LARGEST}), "document-too-large"),
    ],
)
def test_text_that_cannot_be_meant_is_refused(text: str | bytes, code: str) -> None:
    with pytest.raises(DocumentError) as refusal:
        read_text(text)
    assert [problem.code for problem in refusal.value.problems] == [code]


def test_a_whole_orthanc_configuration_gives_its_section() -> None:
    whole = {"Name": "ORTHANC", "Relais": {**FREE, "Database": "sqlite:///x", "ConfigurationSource": "Database"}}
    assert read_text(json.dumps(whole)) == FREE
    assert read_text(json.dumps(FREE)) == FREE


def test_unknown_versions_are_unknown(versions: Versions) -> None:
    for ask in (versions.get, versions.differences):
        with pytest.raises(UnknownError):
            ask(9)
    with pytest.raises(UnknownError):
        versions.draft(FREE, based_on=9, actor="alice")
    with pytest.raises(UnknownError):
        versions.activate(9, actor="alice")


def test_a_seed_with_a_secret_in_it_is_refused(
    database: Database, clock: FakeClock, tasks: Tasks, journal: Journal, tmp_path: Path
) -> None:
    found = Versions(database=database, clock=clock, tasks=tasks, journal=journal, seat=seat(database, tmp_path))
    section = {"Subscribers": {"crm": {"Url": "http://x", "Secret": "d2hlZXpl"}}}
    with pytest.raises(ConfigurationErrors):
        found.seed(section, digest_of(section))
    assert found.listing() == []


def test_the_files_hidden_secrets_stand_in_a_draft_while_the_file_is_the_source(
    database: Database, clock: FakeClock, tasks: Tasks, journal: Journal, tmp_path: Path
) -> None:
    section = {"Subscribers": {"crm": {"Url": "http://x", "Secret": "d2hlZXpl"}}}
    hidden = {"Subscribers": {"crm": {"Url": "http://y", "Secret": "***"}}}
    where = replace(seat(database, tmp_path, "File"), section=section)
    found = Versions(database=database, clock=clock, tasks=tasks, journal=journal, seat=where)
    checked = found.check(hidden)
    assert checked.problems == ()
    assert checked.configuration is not None
    assert checked.configuration.subscribers["crm"].secret.resolve() == "d2hlZXpl"
    by_database = replace(where, source="Database")
    found = Versions(database=database, clock=clock, tasks=tasks, journal=journal, seat=by_database)
    assert [problem.code for problem in found.check(hidden).problems] == ["literal-secret"]


def test_the_configurations_of_an_older_schema_become_versions(empty_url: str, clock: FakeClock) -> None:
    database = Database(empty_url)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    now = clock.now().replace(tzinfo=None) if database.sqlite else clock.now()
    with database.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        for place, digest in enumerate(("one", "two")):
            document = json.dumps({"Language": "en", "Database": "sqlite:///x", "Rules": [], "Completeness": {}})
            connection.execute(
                text("INSERT INTO configuration (digest, document, activated_at) VALUES (:digest, :document, :at)"),
                {"digest": digest, "document": document, "at": now - place * HOUR},
            )
        connection.execute(
            text(
                "INSERT INTO study (id, study_instance_uid, orthanc_id, orthanc_patient_id, state, instances, "
                "sequence, received_at, changed_at, origin, match_state, patient_name, patient_id, patient_birth_date, "
                "accession_number, study_date, study_description, modalities) VALUES "
                "(1, '1.2.3', 'a', 'b', 'Routed', 1, 1, :at, :at, '{}', 'Pending', '', '', '', '', '', '', '')"
            ),
            {"at": now},
        )
        connection.execute(
            text(
                "INSERT INTO decision (id, study_id, configuration, decided_at, facts, document) "
                "VALUES (7, 1, 'two', :at, '{}', '{}')"
            ),
            {"at": now},
        )
    assert database.upgrade()
    with database.read() as connection:
        found = version_rows.page(connection, None, 10)
        assert [(each.number, each.digest, each.state, each.author) for each in found] == [
            (2, "one", VersionState.Active, FILE),
            (1, "two", VersionState.Past, FILE),
        ]
        assert found[0].document == {"Language": "en", "Rules": [], "Completeness": {}}
        assert found[0].activated_at == clock.now()
        assert queries.studies.configuration_document(connection, "two") == found[1].document
        assert connection.execute(select(decision.c.id, decision.c.configuration)).all() == [(7, "two")]
    with database.write() as connection:  # another digest than any version's is no matter, and a study takes its own
        connection.execute(update(decision).values(configuration="three"))
        connection.execute(delete(study))
        assert connection.execute(select(decision)).all() == []
    database.close()
