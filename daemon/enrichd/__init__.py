"""What is done: indexing, asking language servers, serving answers."""

__version__ = "0.1.0"
