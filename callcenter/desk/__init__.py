"""The desk: what people and programs see of the switch by HTTP, in a process of its own."""
