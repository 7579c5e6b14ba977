"""Latency: when it became slow, how much slower, in which part, and which component below it left its range."""
