"""Orthanc seen from inside: its REST API over the loopback, its callbacks, its log."""

from relais.orthanc.client import Orthanc

__all__ = ["Orthanc"]
