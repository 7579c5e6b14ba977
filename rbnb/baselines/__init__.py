"""Thresholds learned from history, one a signal and hour of week, and what a change of them would have done."""
