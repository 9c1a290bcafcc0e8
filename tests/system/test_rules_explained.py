"""Why a rule held or not, as the API and the study's page say it, in the reader's language."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, update

from relais.database import inserted_id
from relais.database.tables import decision, study
from relais.domain.facts import Facts
from relais.domain.routing import decide
from tests.servers.rows import add_study
from tests.system.serving import Web, compose_web

UID = "1.2.826.7"
CT: dict[str, Any] = {"Series": [{"Modality": "CT"}]}
REASON = {
    "Held": False,
    "Operator": "In",
    "Field": "Modality",
    "Wanted": ["PX", "IO"],
    "Seen": ["CT"],
    "Text": "Modality was CT; the rule wants PX or IO",
}
WITHOUT_TEXT = {key: value for key, value in REASON.items() if key != "Text"}
OLD = {"Outcomes": [{"Rule": "dental", "Verdict": "Failed", "Condition": WITHOUT_TEXT}]}


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    made = compose_web(tmp_path)
    yield made
    made.relais.database.close()


def add_decision(web: Web, document: dict[str, Any] | None = None) -> None:
    """A study with its decision: that of the rules, if no document is given."""
    configuration = web.relais.configuration
    facts = Facts.from_json(CT)
    now = web.relais.clock.now()
    decided = decide(facts, configuration.rules, configuration.otherwise, now)
    with web.relais.database.write() as connection:
        study_id = add_study(connection, study_instance_uid=UID)
        values = {"study_id": study_id, "configuration": configuration.digest, "decided_at": now}
        result = connection.execute(
            insert(decision).values(**values, facts=facts.to_json(), document=document or decided.to_json())
        )
        connection.execute(update(study).where(study.c.id == study_id).values(decision_id=inserted_id(result)))


def test_a_dry_run_says_why_a_rule_failed(web: Web) -> None:
    answer = web.post("/relais/v1/rules/evaluate", {"Facts": CT}, user="operator").get_json()
    (outcome,) = answer["Decision"]["Outcomes"]
    assert outcome["Because"] == [REASON]
    assert outcome["Condition"] == WITHOUT_TEXT
    french = web.post("/relais/v1/rules/evaluate", {"Facts": CT}, user="francine").get_json()
    text = french["Decision"]["Outcomes"][0]["Because"][0]["Text"]
    assert text == "Modality valait CT\u202f; la règle demande PX ou IO"


def test_a_dry_run_says_why_a_rule_held(web: Web) -> None:
    facts = {"Series": [{"Modality": "PX"}]}
    answer = web.post("/relais/v1/rules/evaluate", {"Facts": facts}, user="operator").get_json()
    (reason,) = answer["Decision"]["Outcomes"][0]["Because"]
    assert (reason["Held"], reason["Text"]) == (True, "Modality was PX; the rule wants PX or IO")


@pytest.mark.parametrize("document", [None, OLD])
def test_a_stored_decision_says_why_a_rule_failed(web: Web, document: dict[str, Any] | None) -> None:
    add_decision(web, document)
    answer = web.get(f"/relais/v1/studies/{UID}/explanation", user="operator").get_json()
    assert answer["Decision"]["Outcomes"][0]["Because"] == [REASON]
    assert "Answers" not in answer["Decision"]
    page = web.get(f"/relais/app/studies/{UID}", user="operator").get_data(as_text=True)
    assert str(REASON["Text"]) in page
