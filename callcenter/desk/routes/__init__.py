"""Routes: one file a noun, each with a ``router``; ``app.ROUTERS`` lists them."""
