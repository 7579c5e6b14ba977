"""Doing what was decided and approved: planned, tried, done, verified, and undone."""
