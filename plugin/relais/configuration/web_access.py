"""How an HTTP server is reached, and how it knows us: what destinations and sources have in common."""

from __future__ import annotations

from pydantic import Field, model_validator

from relais.configuration.secrets import Secret
from relais.configuration.values import WebUrl
from relais.domain.document import Document, Text, fault


class WebAccess(Document):
    """The root of a server, and what it checks of us."""

    url: WebUrl = Field(description="Its root.", examples=["https://pacs.example/dicom-web"])
    user: Text | None = Field(default=None, description="The user of Basic authentication.", examples=["relais"])
    password: Secret | None = Field(
        default=None, description="The user's password.", examples=[{"Env": "ARCHIVE_PASSWORD"}]
    )
    authority: Text | None = Field(
        default=None,
        alias="CertificateAuthority",
        description="A file of certificates (PEM) that its own is checked against; the system's if not given.",
        examples=["/etc/relais/archive.pem"],
    )
    certificate: Text | None = Field(
        default=None,
        alias="ClientCertificate",
        description="A file with our certificate and its key (PEM), where it asks for one.",
        examples=["/etc/relais/client.pem"],
    )

    @property
    def address(self) -> str:
        """Its root."""
        return self.url

    @model_validator(mode="after")
    def _has_both(self) -> WebAccess:
        if (self.user is None) is not (self.password is None):
            raise fault("user-and-password")
        if "?" in self.url:  # paths are added to it
            raise fault("url-with-query")
        return self
