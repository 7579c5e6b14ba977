"""A second opinion: what Evidently says of the same rows, in a process of its own, and where it differs and why."""
