"""Ask two versions of a model the same logged requests, in a process of its own, and compare the answers."""
