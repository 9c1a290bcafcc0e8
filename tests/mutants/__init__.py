"""Mutation testing of what decides: the residency kernel and the evaluation of rules."""
