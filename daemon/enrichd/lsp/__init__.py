"""Language servers: their processes, their wire, their health, their manners."""
