"""Relais: a study router inside Orthanc."""

__version__ = "0.1.0"
