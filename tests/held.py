"""For tests that are not about sandboxes."""

from host.servers.probe import machine

FREE = "" if machine().confines else 'sandbox = "off"\n'
"""A line of a server's entry: on a machine where no sandbox works a person would have to be asked for it."""
