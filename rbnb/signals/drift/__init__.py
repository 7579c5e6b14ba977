"""Drift: what came in and out compared with what was usual, what that does to scores, and how right they still are."""
