"""Readings for other programs, as they happen, and markers from them.

Each stream is a sink: WebSocket with a page, OSC, Lab Streaming Layer. What each carries comes from
the schema. All are off until they are configured. ``docs/streams.md`` is the user's page.
"""
