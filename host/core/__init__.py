"""Floor 0. Pure: no await, no clock, no file, no random, no network."""
