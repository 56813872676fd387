"""Floor 2. Carries a session from event to event."""
