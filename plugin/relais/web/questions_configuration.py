"""What the API is asked about versions of the configuration."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import AwareDatetime, Field, StringConstraints

from relais.configuration.documents import LARGEST
from relais.domain.document import Document

Number = Annotated[int, Field(strict=True, ge=1, le=2**63 - 1)]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Comment = Annotated[str, StringConstraints(max_length=1000)]


class Proposal(Document):
    """A document: the section, or a whole Orthanc configuration with its `Relais` section."""

    LARGEST_BODY: ClassVar[int] = LARGEST + 64_000

    document: dict[str, Any] = Field(
        description="The section. Database and ConfigurationSource are left out: the file alone says them. Secrets are "
        "references.",
        examples=[{"Rules": []}],
    )


class Drafting(Proposal):
    """A new draft."""

    based_on: Number | None = Field(
        None, description="The version that was changed; the active one if not given.", examples=[12]
    )
    comment: Comment = Field("", description="What it is for.", examples=["adds the Laval clinic"])


class Revision(Proposal):
    """A draft's new document."""

    digest: Digest = Field(description="The draft's digest as its editor saw it.", examples=["0" * 64])
    based_on: Number | None = Field(
        None, description="The version whose changes the draft now takes into account; as before if not given."
    )


class Remark(Document):
    """Why a person does it; the audit keeps it."""

    comment: Comment = Field("", description="Why, in a person's words.", examples=["as agreed by telephone"])


class Agreement(Remark):
    """A second person's yes."""

    digest: Digest = Field(description="The draft's digest as the approver saw it.", examples=["0" * 64])


class Activation(Remark):
    """When a version shall become active."""

    at: AwareDatetime | None = Field(None, description="When; now if not given.", examples=["2026-12-01T02:00:00Z"])


class AgainstQuery(Document):
    """What to compare with."""

    against: int | None = Field(
        None, ge=1, le=2**63 - 1, description="Number of the other version; the active one if not given.", examples=[11]
    )
