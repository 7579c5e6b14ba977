"""Measurements of rbnb itself that take too long for the tests."""
