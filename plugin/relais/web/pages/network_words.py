"""What the network's pages call the parts of the configuration, and each option."""

from __future__ import annotations

import re
from dataclasses import dataclass

from relais.texts import _

GENERAL = "general"
"""The address of the parts that are not lists of named things."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part of the section that holds named things: its key, and what people call it."""

    top: str
    title: str
    new: str
    teaches: str

    @property
    def slug(self) -> str:
        """Its place in addresses."""
        return self.top.lower()


PARTS = {
    part.slug: part
    for part in (
        Part(
            top="Clinics",
            title=_("Clinics"),
            new=_("New clinic"),
            teaches=_(
                "A clinic is a place where images are made. Relais knows whose a study is by AE title or network."
            ),
        ),
        Part(
            top="Sources",
            title=_("Sources"),
            new=_("New source"),
            teaches=_("A source is a PACS that Relais may ask for studies."),
        ),
        Part(
            top="Destinations",
            title=_("Destinations"),
            new=_("New destination"),
            teaches=_("A destination receives studies: an archive, a cloud, another Orthanc, a folder. Rules name it."),
        ),
        Part(
            top="Sets",
            title=_("Sets"),
            new=_("New set"),
            teaches=_("A set is a list of values with a name, such as all dental modalities, that many rules can use."),
        ),
        Part(
            top="Conditions",
            title=_("Conditions"),
            new=_("New condition"),
            teaches=_("A condition with a name can be used by many rules."),
        ),
        Part(
            top="PatientSources",
            title=_("Sources of patients"),
            new=_("New source of patients"),
            teaches=_("A source of patients is a FHIR server from which Relais pulls whom the CRM knows."),
        ),
        Part(
            top="Subscribers",
            title=_("Subscribers"),
            new=_("New subscriber"),
            teaches=_("A subscriber, such as the CRM, is told about events by signed webhooks."),
        ),
        Part(
            top="Users",
            title=_("People"),
            new=_("New person"),
            teaches=_(
                "Whoever Orthanc knows has no access to Relais until they stand here, with a role and their clinics."
            ),
        ),
    )
}

FIRST = _("What it is")
REST = _("More options")
GROUPS = (
    (
        FIRST,
        (
            *("Kind", "Name", "Aet", "Host", "Port", "LocalAet", "Tls", "Url", "Endpoint", "Source", "Of", "User"),
            *("Password", "Token", "PrivateKey", "KnownHosts", "CertificateAuthority", "ClientCertificate"),
        ),
    ),
    (_("Under which law"), ("Jurisdiction", "Assessment", "Agreement", "Purposes")),
    (
        _("When and how fast"),
        (
            *("Start", "Windows", "Concurrency", "Bandwidth"),
            *("TimeoutSeconds", "BatchInstances", "BatchMegabytes", "Retry"),
        ),
    ),
    (_("Proof and stand-in"), ("Proof", "FailoverTo", "FailoverAfterSeconds", "TestEveryHours")),
    (_("What it receives"), ("Only", "Transcode", "Coerce", "Deidentify", "ZeroPreamble", "Previews")),
)
"""How a destination's many options stand together; one that no group names stands under the last heading."""
MANY = 12
"""Options from which on they stand in groups."""

LABELS = {
    "AccessionPrefix": _("Accession number prefix"),
    "Access": _("Looked at from"),
    "Aet": _("AE title"),
    "Agreement": _("Agreement"),
    "Allow": _("Allowed all the same"),
    "Approval": _("Approval"),
    "Assessment": _("Assessment"),
    "Bandwidth": _("Bandwidth (Mbit/s)"),
    "BatchInstances": _("Images a batch"),
    "BatchMegabytes": _("Megabytes a batch"),
    "Begins": _("From"),
    "Breaker": _("When automatic matching stops"),
    "ByModality": _("Quiet time by modality"),
    "CalledAets": _("Called AE titles"),
    "CallingAets": _("Calling AE titles"),
    "CertificateAuthority": _("Certificate authority"),
    "ClaimMinutes": _("A review is kept for (min)"),
    "ClientCertificate": _("Client certificate"),
    "Clinics": _("Clinics"),
    "Coerce": _("Changed on the way"),
    "Completeness": _("Completeness"),
    "Concurrency": _("Deliveries at once"),
    "Decisions": _("Decisions that count"),
    "Days": _("Days"),
    "Deidentify": _("De-identification"),
    "DeliverTo": _("Deliver to"),
    "Endpoint": _("S3 server"),
    "Errors": _("Second looks that differ"),
    "Events": _("Events"),
    "EveryMinutes": _("Asked every (min)"),
    "Expires": _("Expires"),
    "FailoverAfterSeconds": _("Stand-in after (s)"),
    "FailoverTo": _("Stand-in"),
    "FirstDelaySeconds": _("First delay (s)"),
    "FourEyes": _("Two persons decide"),
    "From": _("From"),
    "GiveUpAfterHours": _("Give up after (h)"),
    "Hold": _("Hold, because"),
    "Host": _("Host"),
    "IncludePatient": _("With patient data"),
    "IncompleteSeconds": _("Wait for announced images (s)"),
    "InstitutionNames": _("Institution names"),
    "IssuerOfPatientID": _("Issuers of patient ids"),
    "Jurisdiction": _("Jurisdiction"),
    "Keep": _("Kept"),
    "Key": _("Key"),
    "Kind": _("Kind"),
    "KnownHosts": _("Known hosts file"),
    "Language": _("Language"),
    "LocalAet": _("Our AE title"),
    "LongestSeconds": _("Longest growth (s)"),
    "Matching": _("Matching"),
    "MaximumDelaySeconds": _("Longest delay (s)"),
    "Modalities": _("Modalities"),
    "Name": _("Name"),
    "Networks": _("Networks"),
    "Of": _("Destinations and weights"),
    "Only": _("Only"),
    "Otherwise": _("Otherwise"),
    "PageSize": _("Patients a page"),
    "Password": _("Password"),
    "PatientFolder": _("Folder of patients"),
    "PatientSources": _("Sources of patients"),
    "Port": _("Port"),
    "Previews": _("JPEG previews"),
    "PrivateKey": _("Private key file"),
    "Profile": _("Profile"),
    "Proof": _("Proof"),
    "Purposes": _("Purposes"),
    "QuietSeconds": _("Quiet time (s)"),
    "Reference": _("Reference"),
    "Regime": _("Law"),
    "Region": _("Region"),
    "Remove": _("Removed attributes"),
    "Result": _("Result"),
    "Retrieve": _("Fetched by"),
    "Retry": _("Retries"),
    "Roles": _("Roles"),
    "Rules": _("Rules"),
    "SOPClasses": _("SOP classes"),
    "SecondLooks": _("Share looked at once more"),
    "Secret": _("Signing key"),
    "SeesPatientsOf": _("Also the patients of"),
    "Set": _("Attributes set"),
    "Source": _("Source"),
    "Start": _("Start"),
    "Storage": _("Stored in"),
    "Systems": _("Names of systems"),
    "TestEveryHours": _("Test every (h)"),
    "TimeZone": _("Time zone"),
    "TimeoutSeconds": _("Silence allowed (s)"),
    "Tls": _("TLS encryption"),
    "To": _("To"),
    "Token": _("Bearer token"),
    "Transcode": _("Transfer syntax"),
    "Url": _("Address"),
    "User": _("User"),
    "Vetoes": _("Share of vetoes"),
    "WindowHours": _("Looked back (h)"),
    "Windows": _("Windows"),
    "WithoutSOPClasses": _("SOP classes left out"),
    "ZeroPreamble": _("Preamble zeroed"),
}
"""What an option is called on the pages, by its key; one without an entry goes by the words of its key."""


def label(alias: str) -> str:
    """What people call an option, as a message of the catalogue."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", alias)
    return LABELS.get(alias, words[:1] + words[1:].lower() if words[1:2].islower() else words)


def group_of(alias: str) -> str:
    """The heading under which an option of a destination stands."""
    return next((title for title, aliases in GROUPS if alias in aliases), REST)
