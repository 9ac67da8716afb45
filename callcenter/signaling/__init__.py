"""SIP on a real network: transports, the user agent, legs, the registrar's shell."""
