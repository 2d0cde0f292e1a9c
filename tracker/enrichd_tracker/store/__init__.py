"""The durable side of what is known: a port, and SQLite behind it."""
