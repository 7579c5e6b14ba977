"""Poisoned training data: where rows came from, which of them were tampered with, and what that did to a model."""
