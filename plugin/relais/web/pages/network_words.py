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
            top="Watches",
            title=_("Watches"),
            new=_("New watch"),
            teaches=_("A watch asks a source again and again what is new, and imports it or announces it."),
        ),
        Part(
            top="Retrievers",
            title=_("Retrievers"),
            new=_("New retriever"),
            teaches=_(
                "A retriever is a system that may fetch studies from here by C-MOVE, under which law and for whom."
            ),
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
            *(
                "Kind",
                "Profile",
                "Name",
                "Aet",
                "Host",
                "Port",
                "LocalAet",
                "CallingAet",
                "MoveTo",
                "Tls",
                "Url",
                "Endpoint",
            ),
            *("Source", "Of", "User"),
            *("Password", "Token", "PrivateKey", "KnownHosts", "CertificateAuthority", "ClientCertificate"),
        ),
    ),
    (_("Under which law"), ("Jurisdiction", "Assessment", "Agreement", "Purposes")),
    (
        _("When and how fast"),
        (
            *("Start", "Windows", "Concurrency", "StudiesPerHour", "Bandwidth"),
            *("TimeoutSeconds", "BatchInstances", "BatchMegabytes", "Retry"),
        ),
    ),
    (_("Proof and stand-in"), ("Proof", "FailoverTo", "FailoverAfterSeconds", "TestEveryHours")),
    (
        _("How it is asked"),
        (
            "Clinics",
            "Clinic",
            "Retrieve",
            "Root",
            "Levels",
            "Wildcards",
            "Limit",
            "CharacterSet",
            "RetrieveTimeoutSeconds",
        ),
    ),
    (_("What it receives"), ("Only", "Transcode", "Coerce", "Deidentify", "ZeroPreamble", "Previews")),
)
"""How the many options of a destination or a source stand together; the last heading has what no group names."""
MANY = 12
"""Options from which on they stand in groups."""

LABELS = {
    "Access": _("Looked at from"),
    "AccessionPrefix": _("Accession number prefix"),
    "Aet": _("AE title"),
    "Aets": _("AE titles"),
    "Agreement": _("Agreement"),
    "Allow": _("Allowed all the same"),
    "Approval": _("Approval"),
    "Assessment": _("Assessment"),
    "AtMost": _("Studies at most"),
    "BackToSource": _("Also back to its source"),
    "Bandwidth": _("Bandwidth (Mbit/s)"),
    "BatchInstances": _("Images a batch"),
    "BatchMegabytes": _("Megabytes a batch"),
    "Begins": _("From"),
    "Breaker": _("When automatic matching stops"),
    "ByModality": _("Quiet time by modality"),
    "CalledAets": _("Called AE titles"),
    "CallingAet": _("Our AE title towards it"),
    "CallingAets": _("Calling AE titles"),
    "CertificateAuthority": _("Certificate authority"),
    "CharacterSet": _("Character set"),
    "ClaimMinutes": _("A review is kept for (min)"),
    "ClientCertificate": _("Client certificate"),
    "Clinic": _("Clinic"),
    "Clinics": _("Clinics"),
    "Coerce": _("Changed on the way"),
    "Completeness": _("Completeness"),
    "Concurrency": _("At once"),
    "Days": _("Days"),
    "Decisions": _("Decisions that count"),
    "Deidentify": _("De-identification"),
    "DeliverTo": _("Deliver to"),
    "Enabled": _("Switched on"),
    "Endpoint": _("S3 server"),
    "Errors": _("Second looks that differ"),
    "Events": _("Events"),
    "EveryMinutes": _("Asked every (min)"),
    "EverySeconds": _("Asked every (s)"),
    "ExpireHours": _("Expires after (h)"),
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
    "LeadHours": _("Begins before the appointment (h)"),
    "Levels": _("Levels that may be asked"),
    "Limit": _("Limit of answers"),
    "LocalAet": _("Our AE title"),
    "LongestSeconds": _("Longest growth (s)"),
    "Matching": _("Matching"),
    "MaximumDelaySeconds": _("Longest delay (s)"),
    "Modalities": _("Modalities"),
    "MoveTo": _("It sends to (AE title)"),
    "Mpps": _("Performed procedure steps (MPPS)"),
    "Name": _("Name"),
    "Networks": _("Networks"),
    "Of": _("Destinations and weights"),
    "Only": _("Only"),
    "Otherwise": _("Otherwise"),
    "OverlapMinutes": _("Overlap (min)"),
    "PageSize": _("Patients a page"),
    "Password": _("Password"),
    "PatientFolder": _("Folder of patients"),
    "PatientSources": _("Sources of patients"),
    "Port": _("Port"),
    "Prefetch": _("Fetched before appointments"),
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
    "RetrieveTimeoutSeconds": _("Silence allowed while it sends (s)"),
    "Retry": _("Retries"),
    "Roles": _("Roles"),
    "Root": _("Model of questions"),
    "Route": _("Delivered by the rules"),
    "Rules": _("Rules"),
    "SameAs": _("The same system as"),
    "SecondLooks": _("Share looked at once more"),
    "Secret": _("Signing key"),
    "SeesPatientsOf": _("Also the patients of"),
    "Set": _("Attributes set"),
    "SOPClasses": _("SOP classes"),
    "Source": _("Source"),
    "Sources": _("Sources"),
    "Start": _("Start"),
    "Storage": _("Stored in"),
    "StudiesPerHour": _("Studies an hour at most"),
    "Systems": _("Names of systems"),
    "TestEveryHours": _("Test every (h)"),
    "Then": _("What is new is"),
    "TimeoutSeconds": _("Silence allowed (s)"),
    "TimeZone": _("Time zone"),
    "Tls": _("TLS encryption"),
    "To": _("To"),
    "Token": _("Bearer token"),
    "Transcode": _("Transfer syntax"),
    "UnknownRetrievers": _("Unknown retrievers"),
    "Url": _("Address"),
    "User": _("User"),
    "Vetoes": _("Share of vetoes"),
    "Wildcards": _("Takes wild cards"),
    "WindowHours": _("Looked back (h)"),
    "Windows": _("Windows"),
    "WithoutSOPClasses": _("SOP classes left out"),
    "Worklist": _("Worklist"),
    "Years": _("Years back"),
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
