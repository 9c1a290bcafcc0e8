"""How a DICOM node is reached: what destinations and sources have in common."""

from __future__ import annotations

from pydantic import Field

from relais.configuration.values import Aet, Host, Port
from relais.domain.document import Document, Flag


class DicomAccess(Document):
    """Where a node listens, under which title, and whether over TLS (PS3.8, PS3.15 annex B)."""

    aet: Aet = Field(description="Its AE title.", examples=["VNA"])
    host: Host = Field(description="Its host name or address.", examples=["10.0.0.9"])
    port: Port = Field(description="Its DICOM port.", examples=[104])
    tls: Flag = Field(
        default=False,
        description="Whether it is reached over TLS, with the certificate of Orthanc's DicomTlsCertificate.",
        examples=[True],
    )

    @property
    def address(self) -> str:
        """AE title, host and port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.aet}@{host}:{self.port}"
