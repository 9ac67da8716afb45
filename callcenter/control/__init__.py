"""Control: how operators and programs beside the switch speak to it: a Unix socket, and the service manager."""

SOCKET = "control.sock"
"""The name of the socket in the data folder."""
