"""Tests of Relais, and the real servers that they start."""
