"""The demo: one switch, real phones in processes of their own, and the journey of three calls, told as it happens."""
