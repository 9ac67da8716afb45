"""The embedded media plane: worker processes that relay, play and listen."""
