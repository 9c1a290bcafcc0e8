"""Whose images these are, among the CRM's patients or nobody's: values and pure functions."""
