"""File events as hints of what to look at, and when a burst of them is over."""
