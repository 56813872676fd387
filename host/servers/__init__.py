"""Floor 1. The only home of the MCP SDK."""
