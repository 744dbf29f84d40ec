"""Inputs made wrong on purpose, a few in the tests and any number by a command."""
