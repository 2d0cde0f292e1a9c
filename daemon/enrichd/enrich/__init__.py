"""From orphan symbols to outcomes: the monitor, the queue, the workers, the charging table."""
