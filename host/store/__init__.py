"""Floor 1. The only home of sqlite3."""
