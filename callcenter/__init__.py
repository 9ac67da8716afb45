"""callcenter: a call-centre softswitch in Python."""

__version__ = "0.1.0"
