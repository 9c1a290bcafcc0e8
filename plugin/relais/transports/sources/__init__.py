"""Adapters of sources: one module a way of asking and fetching."""
