"""Telling those concerned how an incident stands."""
