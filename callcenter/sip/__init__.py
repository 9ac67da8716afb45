"""The SIP core: RFC 3261 and its kin without a socket, a clock or a thread."""
