"""Errors that speak: what happened on the way to a destination, and what a person can do about it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from relais.configuration import Configuration
from relais.texts import _
from relais.web.language import Texts


@dataclass(frozen=True)
class Trouble:
    """One kind of failure: what happened, and what helps."""

    what: str
    advice: str


TROUBLES = {
    "refused": Trouble(
        _("{destination} refused the connection: its host is up, and nothing listens at {address}."),
        _("Start the archive's service, or correct its port."),
    ),
    "timeout": Trouble(
        _("{destination} did not answer: nothing came back from {address}."),
        _("Check the network, the firewall and the VPN towards it."),
    ),
    "too-slow": Trouble(
        _("{destination} took no image for too long."),
        _("Look whether it is overloaded; raise TimeoutSeconds if it is only slow."),
    ),
    "hung": Trouble(
        _("The file system of {destination} does not answer."),
        _("Look at the server whose folder is mounted here. It goes on by itself once that answers."),
    ),
    "still-sending": Trouble(
        _("The last attempt to send to {destination} has not ended yet."),
        _("Nothing needs to be done: it is tried again once that has ended."),
    ),
    "name-not-resolved": Trouble(
        _("{destination} could not be found: the name in {address} leads to no host."),
        _("Check the name in the configuration, and the DNS of this machine."),
    ),
    "host": Trouble(
        _("{destination} could not be found: the name in {address} leads to no host."),
        _("Check the name in the configuration, and the DNS of this machine."),
    ),
    "unreachable": Trouble(
        _("{destination} cannot be reached at {address}."),
        _("Check the network, the firewall and the VPN towards it."),
    ),
    "interrupted": Trouble(
        _("The connection to {destination} broke while images were sent."),
        _("Nothing is lost: what has arrived is not sent twice."),
    ),
    "tls": Trouble(
        _("{destination} and we could not agree on an encrypted connection."),
        _("Test the connection: it tells what is wrong with which certificate."),
    ),
    "certificate": Trouble(
        _("A certificate on the way to {destination} is not trusted, or cannot be read."),
        _("Test the connection: it tells what is wrong with which certificate."),
    ),
    "association-rejected": Trouble(
        _("{destination} answers, but does not accept our AE titles."),
        _("Let its administrator register our AE title, and check that {address} has its own."),
    ),
    "no-presentation-context": Trouble(
        _("{destination} does not take images of this kind."),
        _("Let its administrator accept this SOP class and transfer syntax, then retry."),
    ),
    "cannot-transcode": Trouble(
        _("An image cannot be written in the transfer syntax that {destination} takes."),
        _("Let its administrator accept the one in which it is stored, or take Transcode out."),
    ),
    "missing": Trouble(
        _("{destination}, asked for the images, has not all of them."),
        _("They are sent again by themselves. If that repeats, look at the archive's log."),
    ),
    "not-confirmed": Trouble(
        _("{destination} accepted images and has not got them."),
        _("They are sent again by themselves. If that repeats, look at the archive's log."),
    ),
    "not-stored": Trouble(
        _("{destination} did not say that it stored an image."),
        _("It is sent again by itself. If that repeats, look at the archive's log."),
    ),
    "not-reported": Trouble(
        _("{destination} reported on its storage commitment without naming an image."),
        _("It is asked again by itself. If that repeats, look at the archive's log."),
    ),
    "no-commitment": Trouble(
        _("{destination} does not know storage commitment."),
        _("Choose another Proof for it, such as Queried."),
    ),
    "no-dicomweb": Trouble(
        _("What answers at {address} does not speak DICOMweb."), _("Check the address: it is that of the root.")
    ),
    "no-orthanc": Trouble(
        _("What answers at {address} is no Orthanc."), _("Check the address: it is that of the root.")
    ),
    "filtered-out": Trouble(
        _("{destination} filters incoming images, and did not let one in."),
        _("Ask its administrator what its filter refuses."),
    ),
    "not-at-source": Trouble(
        _("The source has not got an image that {destination} is owed."),
        _("Look whether the study was deleted or merged there, then retry."),
    ),
    "query-forgotten": Trouble(
        _("Orthanc forgot a query before its answers were read."), _("It is asked again by itself.")
    ),
    "authentication": Trouble(
        _("{destination} does not accept our name and password, or our key."),
        _("Correct User, Password or Token in the configuration."),
    ),
    "private-key": Trouble(
        _("Our private key for {destination} cannot be read."), _("Check the file that PrivateKey names.")
    ),
    "known-hosts": Trouble(
        _("The file of known hosts for {destination} cannot be read."), _("Check the file that KnownHosts names.")
    ),
    "host-key-unknown": Trouble(
        _("The key of the host of {destination} is not known yet."),
        _("Compare it with its administrator, and add it to the file that KnownHosts names."),
    ),
    "host-key-changed": Trouble(
        _("The host of {destination} shows another key than before: somebody may stand between."),
        _("Ask its administrator; only then replace the key in the file of known hosts."),
    ),
    "ENOSPC": Trouble(_("{destination} has no room left."), _("Let its administrator make room.")),
    "EACCES": Trouble(
        _("We may not write at {address}."), _("Give Orthanc's user, or ours there, the right to write.")
    ),
    "ENOENT": Trouble(_("{address} is not there."), _("Create it, mount it, or correct Url.")),
    "not-a-uid": Trouble(
        _("An image has an identifier that no file can be named by."), _("Have it corrected at its source.")
    ),
    "job-forgotten": Trouble(
        _("Orthanc forgot the transfer to {destination} before its end was seen."),
        _("Raise JobsHistorySize in Orthanc's configuration."),
    ),
    "not-in-orthanc": Trouble(
        _("An image of the study is no longer in Orthanc."), _("Send the study again from its source.")
    ),
    "no-space": Trouble(
        _("This machine had no room to prepare an image for {destination}."), _("Make room in its temporary folder.")
    ),
    "accession-too-long": Trouble(
        _("With its prefix, an accession number would have more than 16 characters."),
        _("Shorten AccessionPrefix of {destination}."),
    ),
    "burned-in-annotation": Trouble(
        _("An image may show the patient's name in its pixels, and was kept back from {destination}."),
        _("Look at it. If it shows nobody, allow BurnedInAnnotation for this destination, then retry."),
    ),
    "recognizable-features": Trouble(
        _("An image shows features that a person can be recognized by, and was kept back from {destination}."),
        _("It cannot be de-identified as it is; send it to a destination that may see patients."),
    ),
    "secondary-capture": Trouble(
        _("A screen capture may show the patient's name, and was kept back from {destination}."),
        _("Look at it. If it shows nobody, allow SecondaryCapture for this destination, then retry."),
    ),
    "encapsulated-document": Trouble(
        _("A document may name the patient, and was kept back from {destination}."),
        _("Read it. If it names nobody, allow EncapsulatedDocument for this destination, then retry."),
    ),
    "identifier-left": Trouble(
        _("De-identified, an image would still have told who the patient is, and was kept back from {destination}."),
        _("The detail names the attribute whose value was found again."),
    ),
    "cannot-deidentify": Trouble(
        _("Orthanc could not de-identify an image for {destination}."), _("Orthanc's log says why.")
    ),
    "cannot-read": Trouble(
        _("A stored file is malformed, and cannot be changed for {destination} without harm."),
        _("Send it there unchanged, or have it repaired at its source."),
    ),
    "0124": Trouble(
        _("{destination} does not permit us to store (status {code})."),
        _("Let its administrator permit our AE title to store."),
    ),
    "0122": Trouble(
        _("{destination} does not take images of this kind."),
        _("Let its administrator accept this SOP class and transfer syntax, then retry."),
    ),
    "401": Trouble(
        _("{destination} does not accept our name and password, or our key."),
        _("Correct User, Password or Token in the configuration."),
    ),
    "403": Trouble(
        _("{destination} does not permit us to store (status {code})."), _("Let its administrator permit our user to.")
    ),
    "404": Trouble(_("Nothing receives images at {address}."), _("Check the address: it is that of the root.")),
    "413": Trouble(
        _("An image is too large for {destination}."),
        _("Let its administrator, or that of its proxy, raise the limit."),
    ),
    "429": Trouble(
        _("{destination} asks us to slow down."),
        _("It is tried again by itself; a Bandwidth or less Concurrency helps."),
    ),
    "503": Trouble(_("{destination} is not at work now."), _("It is tried again by itself.")),
}
"""By the code of a SendingError."""

ALIKE = {
    "405": "404",
    "407": "401",
    "507": "ENOSPC",
    "EDQUOT": "ENOSPC",
    "EPERM": "EACCES",
    "EROFS": "EACCES",
    "NoSuchBucket": "404",
    "AccessDenied": "EACCES",
    "InvalidAccessKeyId": "401",
    "SignatureDoesNotMatch": "401",
    "NoCredentialsError": "401",
    "PartialCredentialsError": "401",
    "SlowDown": "429",
    "EntityTooLarge": "413",
    "sftp-failure": "ENOSPC",
}
"""Codes that mean what others do."""

NO_ROOM = Trouble(_("{destination} has no room left (status {code})."), _("Let its administrator make room."))
REFUSED_IMAGE = Trouble(
    _("{destination} refused an image (status {code})."),
    _("Ask its administrator what this status means there, then retry."),
)
ORTHANC = Trouble(
    _("Orthanc did not hand an image over ({code})."), _("It is tried again by itself. Orthanc's log says why.")
)
FAILED_SERVER = Trouble(
    _("The server of {destination} failed (status {code})."), _("It is tried again by itself; its log says why.")
)
UNKNOWN = Trouble(
    _("The delivery to {destination} failed ({code})."), _("The detail says more; retry when it is mended.")
)

_LIKE: tuple[tuple[str, Trouble], ...] = (
    ("A7[0-9A-F]{2}", NO_ROOM),
    ("[0-9A-F]{4}", REFUSED_IMAGE),
    ("4[0-9]{2}", REFUSED_IMAGE),
    ("5[0-9]{2}", FAILED_SERVER),
    ("orthanc-[0-9]+", ORTHANC),
)
"""Codes by their look, the first that fits."""


def trouble_of(error: Mapping[str, Any]) -> Trouble:
    """What to say about an attempt's, a delivery's or a lane's error."""
    code = str(error.get("Code"))
    found = TROUBLES.get(ALIKE.get(code, code))
    return found or next((each for pattern, each in _LIKE if re.fullmatch(pattern, code)), UNKNOWN)


def tell(error: Mapping[str, Any], destination: str, configuration: Configuration, texts: Texts) -> tuple[str, str]:
    """What happened on the way to a destination, and what helps."""
    known = configuration.destinations.get(destination)
    values = {"destination": destination, "code": error.get("Code"), "address": known.address if known else "?"}
    found = trouble_of(error)
    return texts.say(found.what, **values), texts.say(found.advice, **values)
