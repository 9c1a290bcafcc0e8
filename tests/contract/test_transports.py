"""The same promises over every way of sending."""

from tests.contract.transport_dicom import AskedMovePeer, DicomPeer, MovePeer
from tests.contract.transport_suite import TransportSuite


class TestDicom(TransportSuite):
    """C-STORE."""

    kind = DicomPeer


class TestDicomMove(TransportSuite):
    """C-MOVE from a source."""

    kind = MovePeer


class TestDicomMoveAsked(TransportSuite):
    """C-MOVE from a source to an archive that is asked itself."""

    kind = AskedMovePeer
