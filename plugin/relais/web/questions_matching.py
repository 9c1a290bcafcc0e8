"""What the API is asked about matches and reviews."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, StringConstraints, model_validator

from relais.database.queries.reviews import Place
from relais.domain.asked import MOST_VALUES, Demographics
from relais.domain.document import Document, Name, OneOf, Problem, fault
from relais.domain.patients import CrmId
from relais.domain.states import ReviewDecision, ReviewKind, ReviewState
from relais.links import Verdict
from relais.web.errors import invalid
from relais.web.questions import Id

Comment = Annotated[str, StringConstraints(max_length=500)]
Value = Annotated[str, StringConstraints(max_length=1024)]


class ReviewQuery(Document):
    """Which reviews."""

    limit: int = Field(50, ge=1, le=500, description="The most items answered.", examples=[50])
    since: Annotated[str, StringConstraints(max_length=100)] | None = Field(
        None, description="Next of the page before.", examples=["2/2026-04-01T12:00:00.000000/7"]
    )
    state: Annotated[ReviewState, OneOf(ReviewState)] = Field(
        ReviewState.Open, description="Where they stand.", examples=["Open"]
    )
    kind: Annotated[ReviewKind, OneOf(ReviewKind)] | None = Field(
        None, description="What is asked.", examples=["Match"]
    )
    clinic: str | None = Field(None, description="Key of the study's clinic.", examples=["outremont"])

    @property
    def place(self) -> Place | None:
        """After which review the page begins; raises RefusedError (422) where it is none."""
        try:
            return None if self.since is None else Place.read(self.since)
        except (ValueError, OverflowError):
            raise invalid([Problem("Since", "bad-page")]) from None


class VerdictCommand(Document):
    """Whose the study is."""

    decision: Annotated[ReviewDecision, OneOf(ReviewDecision)] = Field(
        description="Link, with a CrmId, or NoMatch: none of the CRM's patients.", examples=["Link"]
    )
    crm_id: CrmId | None = Field(None, description="The patient, for Link.", examples=["P-1001"])
    comment: Comment = Field("", description="Why, in a person's words.", examples=["called the clinic"])

    @model_validator(mode="after")
    def _whole(self) -> VerdictCommand:
        if (self.crm_id is None) is (self.decision is ReviewDecision.Link):
            raise fault("link-without-patient")
        return self

    @property
    def verdict(self) -> Verdict:
        """As the step takes it."""
        return Verdict(decision=self.decision, crm_id=self.crm_id, comment=self.comment)


class Resolution(VerdictCommand):
    """What a person decides in a review."""

    match: Id | None = Field(
        None, description="Match of the review as it was shown: refused where it is another meanwhile.", examples=[12]
    )


class LinkCommand(Document):
    """Whose the study is, by hand."""

    crm_id: CrmId | None = Field(description="The patient; null for none of the CRM's.", examples=["P-1001"])
    comment: Comment = Field("", description="Why, in a person's words.", examples=["called the clinic"])

    @property
    def verdict(self) -> Verdict:
        """As the step takes it."""
        decision = ReviewDecision.NoMatch if self.crm_id is None else ReviewDecision.Link
        return Verdict(decision=decision, crm_id=self.crm_id, comment=self.comment)


class WhatIf(Document):
    """If the study were whose."""

    crm_id: CrmId | None = Field(None, description="The patient's; null for nobody's.", examples=["P-1001"])
    undone: bool = Field(False, description="True: if the match were taken back.", examples=[False])


class OtherId(Document):
    """A further identifier."""

    patient_id: Value = Field(alias="PatientID", description="The identifier.", examples=["TREM54122816"])
    issuer_of_patient_id: Value = Field("", alias="IssuerOfPatientID", description="Who gave it.", examples=["RAMQ"])


Others = Annotated[tuple[OtherId, ...], Field(max_length=MOST_VALUES)]


class MatchQuestion(Document):
    """Attributes of a patient as DICOM names them (PS3.3 section C.7.1.1); several values with a backslash between."""

    patient_name: Value = Field("", description="PN, or a name as people write it.", examples=["Gagné^Zoé"])
    patient_birth_name: Value = Field("", description="The name at birth.", examples=["Roy^Zoé"])
    other_patient_names: Value = Field("", description="Further names.", examples=["Gagne^Zoe"])
    patient_id: Value = Field("", alias="PatientID", description="The identifier.", examples=["P7"])
    issuer_of_patient_id: Value = Field("", alias="IssuerOfPatientID", description="Who gave it.", examples=["RAMQ"])
    other_patient_ids: Value | Others = Field(
        "",
        alias="OtherPatientIDs",
        description="Further identifiers: values, or objects with PatientID and IssuerOfPatientID.",
        examples=[[{"PatientID": "GAGZ84551711", "IssuerOfPatientID": "RAMQ"}]],
    )
    patient_birth_date: Value = Field("", description="YYYYMMDD.", examples=["19840517"])
    patient_sex: Value = Field("", description="M, F or O.", examples=["F"])
    patient_address: Value = Field("", description="The address.", examples=["12 rue Bernard, Montréal H2V 1A1"])
    patient_telephone_numbers: Value = Field("", description="Numbers.", examples=["514-555-2368"])
    accession_number: Value = Field("", description="Of the order.", examples=["A7"])
    clinic: Name | None = Field(
        None, description="Key of the clinic that asks; its patients are looked at.", examples=["outremont"]
    )

    @property
    def said(self) -> Demographics:
        """As matching takes it."""
        tags = {
            str(field.alias): value
            for name, field in type(self).model_fields.items()
            if name not in ("clinic", "other_patient_ids") and (value := getattr(self, name))
        }
        given = self.other_patient_ids
        if isinstance(given, str):
            others = tuple(("", each) for each in given.split("\\")[:MOST_VALUES] if each)
        else:
            others = tuple((each.issuer_of_patient_id, each.patient_id) for each in given)
        return Demographics(tags=tags, others=others)


class ModelAdding(Document):
    """A set of weights, as training writes it."""

    model: dict[str, Any] = Field(description="The model.", examples=[{"Version": "2027-01"}])
    evaluation: dict[str, Any] | None = Field(
        None, description="What it achieved, beside the one before.", examples=[{"Recall": 0.99}]
    )
