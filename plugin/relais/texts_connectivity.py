"""Words for what tests of destinations and sources find: what it is, and what a person can do about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from relais.domain.connectivity import Advice, StepName
from relais.texts import _, gettext_for

STEPS: Mapping[StepName, str] = {
    StepName.Name: _("Name resolution"),
    StepName.Connection: _("TCP connection"),
    StepName.Tls: _("TLS and certificate"),
    StepName.Association: _("DICOM association"),
    StepName.Echo: _("C-ECHO"),
    StepName.Http: _("HTTP and login"),
    StepName.Clock: _("Clock"),
    StepName.Query: _("QIDO-RS query"),
    StepName.Question: _("Question for recent studies"),
    StepName.Write: _("Writing a file"),
    StepName.Store: _("Storing a test object"),
    StepName.Find: _("Finding the test object"),
    StepName.Read: _("Reading the file back"),
    StepName.Delete: _("Deleting the test object"),
    StepName.Space: _("Free space"),
}

ADVICE: Mapping[Advice, str] = {
    Advice.AfterFailure: _("Not tried, because a step before it failed."),
    Advice.NotAskedFor: _("Not tried: a test object is stored only when it is asked for."),
    Advice.NoAnswer: _("It did not answer in time. It may be overloaded; try again, or raise TimeoutSeconds."),
    Advice.Broken: _("The connection broke in the middle. Look at the destination's log; a firewall may cut it."),
    Advice.NameUnknown: _(
        "The name {Host} is not known to this machine's DNS. Check Host or Url, or ask whoever runs the network to "
        "add it."
    ),
    Advice.NameServerSilent: _(
        "This machine's DNS server does not answer, so that {Host} could not be looked up. Check the network of this "
        "machine."
    ),
    Advice.NameSlow: _("The name {Host} took long to resolve. Each new connection waits for it: look at the DNS."),
    Advice.Refused: _(
        "{Host} answers, but nothing listens at port {Port}. Start the service there, or check the port."
    ),
    Advice.ConnectionTimeout: _(
        "No answer from {Host} at port {Port}. The machine may be off, a VPN down, or a firewall in the way."
    ),
    Advice.HostUnreachable: _("No way leads from this machine to {Host}. Check the network, the VPN and the routes."),
    Advice.AddressesDead: _(
        "{Dead} of {Host} did not take a connection, {Address} did. Each connection may lose time: have the dead "
        "address taken out of the DNS."
    ),
    Advice.TlsNotSpoken: _(
        "What listens at port {Port} does not speak TLS. Check the port, or whether TLS is meant to be used."
    ),
    Advice.TlsVersion: _("It speaks only versions of TLS that are too old: 1.2 is the least. It needs an update."),
    Advice.TlsFailed: _("The TLS handshake failed. Look at the destination's log for its side of it."),
    Advice.CertificateFile: _("A file of certificates or keys in our own configuration cannot be read."),
    Advice.CertificateExpired: _("Its certificate expired: {NotAfter}. Whoever runs it must renew it."),
    Advice.CertificateNotYet: _(
        "Its certificate is valid only from {NotBefore} on. Is the clock of this machine right?"
    ),
    Advice.CertificateEnds: _("Its certificate ends in {DaysLeft} days. Ask whoever runs it to renew it in time."),
    Advice.CertificateName: _(
        "Its certificate is for {Names}, not for {Host}. Use a name of the certificate, or have one issued for {Host}."
    ),
    Advice.CertificateNameUnchecked: _(
        "Its certificate is for {Names}, not for {Host}. DICOM deliveries work all the same, because Orthanc does not "
        "compare names."
    ),
    Advice.CertificateIssuer: _(
        "Nobody that this machine trusts has issued its certificate. Name the issuer's file: CertificateAuthority, or "
        "Orthanc's DicomTlsTrustedCertificates."
    ),
    Advice.CertificateSelfSigned: _(
        "Its certificate is signed by itself. If that is meant to be so, name it as a trusted file: "
        "CertificateAuthority, or Orthanc's DicomTlsTrustedCertificates."
    ),
    Advice.CertificateInvalid: _("Its certificate is not fit for a server. Ask whoever runs it to have it replaced."),
    Advice.ClientCertificateAsked: _(
        "It asks for a certificate of ours, and goes on without. Some servers then allow less: see the next steps."
    ),
    Advice.ClientCertificateRequired: _(
        "It lets in only who shows a certificate. Name ours: ClientCertificate, or Orthanc's DicomTlsCertificate."
    ),
    Advice.RejectedCalledAet: _(
        "It does not know the AE title {Aet} as its own (called AE title not recognized). Check Aet."
    ),
    Advice.RejectedCallingAet: _(
        "It does not know our AE title {LocalAet} (calling AE title not recognized). Have {LocalAet} registered there "
        "with this machine's address, or check LocalAet."
    ),
    Advice.RejectedBusy: _("It takes no more associations at the moment. Try again; lower Concurrency if it recurs."),
    Advice.RejectedProtocol: _("It does not speak this version of the DICOM protocol. Is {Port} its DICOM port?"),
    Advice.RejectedWithoutReason: _(
        "It rejected the association without a reason. Often our AE title {LocalAet} or our address is not registered "
        "there."
    ),
    Advice.AssociationAborted: _(
        "It ended the association before it began. Is {Port} a DICOM port, with or without TLS as configured? Is our "
        "address registered there?"
    ),
    Advice.AssociationSilent: _(
        "It takes connections and does not answer the association. Is {Port} a DICOM port, with or without TLS as "
        "configured? If it is, it hangs or is overloaded: have it looked at, or restarted."
    ),
    Advice.NothingAccepted: _("It accepts the association, and nothing in it. Is {Aet} the title of an archive?"),
    Advice.NoStorage: _("It accepts no kind of image. Is {Aet} the title of an archive?"),
    Advice.ClassesRejected: _(
        "It does not take these kinds of images: {Rejected}. If your studies have none of them, all is well."
    ),
    Advice.EchoNotAccepted: _("It does not accept C-ECHO. That is unusual, and harmless."),
    Advice.QueriedImpossible: _(
        "It cannot be queried, and Proof is Queried: no delivery would ever be complete. Have C-FIND enabled there for "
        "our AE title {LocalAet}, or choose another Proof."
    ),
    Advice.CommitmentNotAccepted: _(
        "It does not accept storage commitment under this title, so that Proof cannot be Committed."
    ),
    Advice.MoveNotAccepted: _("It does not accept C-MOVE, so that it cannot send studies on. Enable it there."),
    Advice.EchoRefused: _("It answered C-ECHO with status {Status}. Look at its log."),
    Advice.StoreNotAccepted: _("It does not take secondary captures, which the test object is."),
    Advice.StoreRefused: _(
        "It refused the test object with status {Status}. Look at its log, or ask its administrator."
    ),
    Advice.StoreWarned: _("It stored the test object, with the warning {Status}."),
    Advice.FindNotAccepted: _("It does not accept C-FIND under this title, so that the test object cannot be found."),
    Advice.FindBroken: _(
        "It broke off when it was queried. Often our AE title {LocalAet} is not allowed to query there: have it "
        "registered, if queries are wanted."
    ),
    Advice.FindRefused: _("It answered the query with status {Status}. May we query there at all?"),
    Advice.NotFound: _(
        "It said that it stored the test object, and does not find it. It may keep unknown patients apart, or be slow "
        "to index: look for the patient RELAIS-TEST there."
    ),
    Advice.QuestionRefused: _(
        "It refused a question for studies ({Code}). Have our AE title allowed to query there, or choose its Profile."
    ),
    Advice.QuestionSilent: _(
        "It did not answer a question for studies in time. It may be overloaded; or raise TimeoutSeconds."
    ),
    Advice.QuestionBroken: _(
        "It broke off when it was asked for studies. Often our AE title is not allowed to query there."
    ),
    Advice.Unauthorized: _("It does not let us in. Check the user and the password, the token or the keys."),
    Advice.Forbidden: _("It knows us, and does not allow this. Ask its administrator for the right to do so."),
    Advice.NoSuchPath: _("The server answers, but there is nothing at this address. Check the path of Url."),
    Advice.Redirected: _("It sends us to another address, to which Relais does not follow. Give that one as Url."),
    Advice.HttpRefused: _("It refused the request with status {Status}. Look at its log."),
    Advice.ServerError: _("It failed with status {Status}. Its administrator must look at its log."),
    Advice.NotDicomWeb: _("What it answers is not DICOMweb. Check the path of Url; it often ends in /dicom-web."),
    Advice.NotOrthanc: _("What answers there is not an Orthanc. Check Url."),
    Advice.NoDate: _("It does not say what time it is."),
    Advice.ClockDiffers: _("Its clock and ours differ by {Difference} s. Let both follow the same time server (NTP)."),
    Advice.ClockWrong: _(
        "Its clock and ours differ by {Difference} s. One of them is wrong: tokens and dates of images go wrong too. "
        "Let both follow the same time server (NTP)."
    ),
    Advice.HostKeyUnknown: _(
        "{Host} is not among the known hosts. Compare its key's fingerprint with whoever runs it, then put the key "
        "into the file of KnownHosts."
    ),
    Advice.HostKeyChanged: _(
        "{Host} shows another key than the known one. Somebody may be in between: ask whoever runs it before you "
        "change KnownHosts."
    ),
    Advice.PrivateKey: _("The file of PrivateKey cannot be opened as a key. Check the file and its password."),
    Advice.FolderMissing: _("{Url} is not there. Create it, or check Url."),
    Advice.NotPermitted: _("We may not write in {Url}. Give Orthanc's user, or ours there, the right to."),
    Advice.DiskFull: _("There is no room left in {Url}. Make room, or raise the quota."),
    Advice.FilesFailed: _("{Url} could not be used: {Code}."),
    Advice.ReadDiffers: _("What is read back is not what was written. Do not trust this place before it is repaired."),
    Advice.NotDeleted: _("The test object could not be deleted. Delete it by hand: {Path}."),
    Advice.SpaceLow: _("Only {FreeMegabytes} MB are free there. Make room before it is full."),
    Advice.SpaceUnknown: _("This place does not say how much room it has."),
}
"""What to say of each code; the values are facts of the step."""

MESSAGES = frozenset([*STEPS.values(), *ADVICE.values()])
"""Every message of this module."""


class _Facts(dict[str, str]):
    """Values of a message; one that the step could not know is left out."""

    def __missing__(self, key: str) -> str:
        return ""


def step_title(name: str, language: str) -> str:
    """What a step is called."""
    return gettext_for(language).gettext(STEPS[StepName(name)])


def advise(code: str, facts: Mapping[str, Any], language: str) -> str:
    """What was found, and what to do about it, in a sentence or two."""
    values = _Facts({name: _shown(value) for name, value in facts.items()})
    return gettext_for(language).gettext(ADVICE[Advice(code)]).format_map(values)


def _shown(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value)
