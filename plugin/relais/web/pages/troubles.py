"""Errors that speak: what happened, what Relais does about it, what a person can do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from relais.texts import _


@dataclass(frozen=True)
class Trouble:
    """One kind of failure: what happened, and what helps."""

    what: str
    advice: str


_STATUS = re.compile(r"[0-9A-F]{4}")

TROUBLES = {
    "refused": Trouble(
        _("{destination} refused the connection: {host} is up, port {port} is closed."),
        _("Start the archive's DICOM service, or correct its port."),
    ),
    "timeout": Trouble(
        _("{destination} did not answer: nothing came back from {host}, port {port}."),
        _("Check the network, the firewall and the VPN towards it."),
    ),
    "name-not-resolved": Trouble(
        _("{destination} could not be found: the name {host} leads to no address."),
        _("Check the name in the configuration, and the DNS of this machine."),
    ),
    "unreachable": Trouble(
        _("{destination} cannot be reached at {host}, port {port}."),
        _("Check the network, the firewall and the VPN towards it."),
    ),
    "association-rejected": Trouble(
        _("{destination} answers, but does not accept our AE titles."),
        _("Let its administrator register our AE title, and check that {aet} is its own."),
    ),
    "no-presentation-context": Trouble(
        _("{destination} does not take images of this kind."),
        _("Let its administrator accept this SOP class and transfer syntax, then retry."),
    ),
    "interrupted": Trouble(
        _("The connection to {destination} broke while images were sent."),
        _("Nothing is lost: what has arrived is not sent twice."),
    ),
    "job-forgotten": Trouble(
        _("Orthanc forgot the transfer to {destination} before its end was seen."),
        _("Raise JobsHistorySize in Orthanc's configuration."),
    ),
    "not-in-orthanc": Trouble(
        _("An image of the study is no longer in Orthanc."), _("Send the study again from its source.")
    ),
    "A700": Trouble(_("{destination} has no room left (status {code})."), _("Let its administrator make room.")),
    "0124": Trouble(
        _("{destination} does not permit us to store (status {code})."),
        _("Let its administrator permit our AE title to store."),
    ),
}
"""By the code of a SendingError."""

REFUSED_IMAGE = Trouble(
    _("{destination} refused an image (status {code})."),
    _("Ask its administrator what this status means there, then retry."),
)
UNKNOWN = Trouble(
    _("The delivery to {destination} failed ({code})."), _("The detail says more; retry when it is mended.")
)


def trouble_of(error: Mapping[str, Any]) -> Trouble:
    """What to say about a delivery's or a lane's last error."""
    code = str(error.get("Code"))
    if code in TROUBLES:
        return TROUBLES[code]
    if code.startswith("A7"):
        return TROUBLES["A700"]
    return REFUSED_IMAGE if _STATUS.fullmatch(code) else UNKNOWN
