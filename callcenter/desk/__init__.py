"""The desk: what people and programs ask over HTTP; a process of its own, which may end without any call noticing."""
