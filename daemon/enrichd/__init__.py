"""What is done: indexing, asking language servers, serving answers."""
