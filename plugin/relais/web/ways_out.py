"""Orthanc's own ways out as people meet them: who may take them, and the words of the self-check for open ones."""

from __future__ import annotations

from relais.configuration import Configuration
from relais.orthanc.openings import configured, defined
from relais.texts import _
from relais.web.composition import Call
from relais.web.errors import RefusedError
from relais.web.permissions import NOBODY, Gate, Permission, identify, name_of

OPENINGS = {
    "no-filter": (
        _("Orthanc's Python plugin has no filter of requests: every user of Orthanc can send images past the rules"),
        _("Install version 3.0 of the plugin, or a later one."),
    ),
    "modalities": (
        _("Orthanc knows modalities that are not those of Relais, and can send to them past the rules: {names}"),
        _('Take them out of "DicomModalities", and make them Destinations or Sources of Relais.'),
    ),
    "may-retrieve": (
        _("These modalities may fetch images by C-GET, of which Relais is not asked: {names}"),
        _('Define them with "AllowGet": false, and set "DicomCheckModalityHost": true.'),
    ),
    "peers": (
        _("Orthanc knows peers to which it can send past the rules: {names}"),
        _('Take them out of "OrthancPeers", and make them Destinations of the kind OrthancPeer.'),
    ),
    "servers": (
        _("Orthanc knows DICOMweb servers to which it can send past the rules: {names}"),
        _('Take them out of "DicomWeb"."Servers", and make them Destinations of the kind DicomWeb.'),
    ),
    "always-move": (
        _("DicomAlwaysAllowMove is true: anybody may have images sent to those whom Retrievers or Destinations name"),
        _('Set "DicomAlwaysAllowMove": false in Orthanc\'s configuration.'),
    ),
    "always-get": (
        _("DicomAlwaysAllowGet is true: any AE title may fetch images"),
        _('Set "DicomAlwaysAllowGet": false in Orthanc\'s configuration.'),
    ),
    "kept-modalities": (
        _("DicomModalitiesInDatabase is true: what was once defined as a modality stays, whatever the files say"),
        _('Set "DicomModalitiesInDatabase": false in Orthanc\'s configuration.'),
    ),
    "kept-peers": (
        _("OrthancPeersInDatabase is true: what was once defined as a peer stays, whatever the files say"),
        _('Set "OrthancPeersInDatabase": false in Orthanc\'s configuration.'),
    ),
    "lua-scripts": (
        _("Lua scripts run in Orthanc, and can send images past the rules: {names}"),
        _('Empty "LuaScripts"; what they route, rules of Relais can.'),
    ),
    "execute-lua": (
        _("ExecuteLuaEnabled is true: an administrator of Orthanc can run any Lua"),
        _('Set "ExecuteLuaEnabled": false in Orthanc\'s configuration.'),
    ),
    "write-files": (
        _("RestApiWriteToFileSystemEnabled is true: images can be written wherever Orthanc may write"),
        _('Set "RestApiWriteToFileSystemEnabled": false in Orthanc\'s configuration.'),
    ),
    "own-script": (
        _("Orthanc runs a Python script of your own beside Relais: {names}. What it sends is not judged"),
        _("See that it sends nothing by itself."),
    ),
    "plugins": (
        _("Plugins that can send images past the rules: {names}"),
        _('Take them out of "Plugins", unless you know who uses them.'),
    ),
}
"""What is open and what closes it, by its code."""


def open_ways(call: Call) -> list[tuple[str, str]]:
    """Each way out that is open, and advice, in the caller's language."""
    surroundings = call.relais.surroundings
    found = [
        *configured(surroundings.document, filters=surroundings.filters),
        *defined(call.relais.orthanc, surroundings.document),
    ]
    say = call.texts.say
    return [(say(OPENINGS[each.code][0], names=", ".join(each.names)), say(OPENINGS[each.code][1])) for each in found]


def admission(gate: Gate, configuration: Configuration, authorization: str | None) -> tuple[bool, str]:
    """Whether the caller with this header may take Orthanc's own ways out, and their name."""
    try:
        caller = identify(gate, configuration, authorization)
    except RefusedError:
        checked = gate.authentication and not gate.open  # else anybody can write any name there
        return False, (name_of(authorization) if checked else None) or NOBODY.name
    return caller.may(Permission.UseWaysOut), caller.name
