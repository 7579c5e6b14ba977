"""rbnb: reproducible runbook notebooks for machine learning models that misbehave in production.

Importing this package is light on purpose: everything heavy is imported where it is used.
"""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
