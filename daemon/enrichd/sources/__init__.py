"""Where code comes from that is not there yet: a Git URL becomes a folder to index."""
