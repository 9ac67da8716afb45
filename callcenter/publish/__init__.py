"""Publish: screen pops, states and events over MQTT, and the broker that the switch supervises itself."""
