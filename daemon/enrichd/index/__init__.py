"""From a folder to symbols and sites: walk, parse in worker processes, extract."""
