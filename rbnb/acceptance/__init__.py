"""Return to service: what must be measured before an incident counts as over, and watching it from then on."""
