"""Pure statistics: reference and current in, `rbnb.model.Signal` out; no disk, no clock, no judgement."""
