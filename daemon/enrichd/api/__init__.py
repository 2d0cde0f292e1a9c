"""The doors of the daemon: HTTP on a Unix socket and on localhost, and metrics."""
