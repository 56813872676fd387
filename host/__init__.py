"""agent-host: an MCP host whose sessions are logs."""

__version__ = "0.1.0"
