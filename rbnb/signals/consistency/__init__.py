"""Inconsistent outputs: equal requests with other answers, skewed inputs, scores that nothing explains."""
