"""What is known: the words of the code graph, the memory of failures, the durable store.

No task, no process, no socket and no language server is started here.
"""
