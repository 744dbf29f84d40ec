"""Inputs made wrong on purpose: hundreds in the tests, any number by `python -m tests.fuzz.films`."""
