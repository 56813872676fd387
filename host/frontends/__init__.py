"""Floor 3. Readers of a session's feed; they get a Handle, never an engine."""
