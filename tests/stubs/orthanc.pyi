"""The part of Orthanc's Python module that Relais uses, as of plugin 4.0.

The module exists only inside Orthanc. Newer functions are looked for with `hasattr`, so they are not listed here.
Enumerations are plain integers there. Source: https://orthanc.uclouvain.be/book/plugins/python.html
"""

from collections.abc import Callable
from typing import Final, NotRequired, TypedDict

class ChangeType:
    COMPLETED_SERIES: Final = 0
    DELETED: Final = 1
    NEW_CHILD_INSTANCE: Final = 2
    NEW_INSTANCE: Final = 3
    NEW_PATIENT: Final = 4
    NEW_SERIES: Final = 5
    NEW_STUDY: Final = 6
    STABLE_PATIENT: Final = 7
    STABLE_SERIES: Final = 8
    STABLE_STUDY: Final = 9
    ORTHANC_STARTED: Final = 10
    ORTHANC_STOPPED: Final = 11
    UPDATED_ATTACHMENT: Final = 12
    UPDATED_METADATA: Final = 13
    UPDATED_PEERS: Final = 14
    UPDATED_MODALITIES: Final = 15
    JOB_SUBMITTED: Final = 16
    JOB_SUCCESS: Final = 17
    JOB_FAILURE: Final = 18

class ResourceType:
    PATIENT: Final = 0
    STUDY: Final = 1
    SERIES: Final = 2
    INSTANCE: Final = 3
    NONE: Final = 4

class RestRequest(TypedDict):
    """What a REST callback is told besides the path; `body` comes with POST and PUT only, `get` with GET only."""

    method: str
    groups: tuple[str, ...]
    headers: dict[str, str]
    get: NotRequired[dict[str, str]]
    body: NotRequired[bytes]

class RestOutput:
    def AnswerBuffer(self, buffer: str | bytes, mime_type: str, /) -> None: ...
    def SendHttpStatus(self, status: int, body: str | bytes, size: int = ..., /) -> None: ...
    def SendHttpStatusCode(self, status: int, /) -> None: ...
    def SendMethodNotAllowed(self, allowed: str, /) -> None: ...
    def SendUnauthorized(self, realm: str, /) -> None: ...
    def SetHttpHeader(self, name: str, value: str, /) -> None: ...

class DicomInstance:
    def GetInstanceData(self) -> bytes: ...
    def GetInstanceOrigin(self) -> int: ...
    def GetInstanceRemoteAet(self) -> str: ...
    def GetInstanceSimplifiedJson(self) -> str: ...

class OrthancException(Exception): ...

def ExtendOrthancExplorer(javascript: str, /) -> None: ...
def GenerateRestApiAuthorizationToken() -> str: ...
def GetConfiguration() -> str: ...
def LogError(message: str, /) -> None: ...
def LogInfo(message: str, /) -> None: ...
def LogWarning(message: str, /) -> None: ...
def RegisterOnChangeCallback(callback: Callable[[int, int, str], None], /) -> None: ...
def RegisterOnStoredInstanceCallback(callback: Callable[[DicomInstance, str], None], /) -> None: ...
def RegisterRestCallback(pattern: str, callback: Callable[..., None], /) -> None: ...
