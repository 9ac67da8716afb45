"""RTP, RTCP, G.711 and telephone events: pure, no socket, no clock."""
