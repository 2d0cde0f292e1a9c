"""The questions that users ask of the graph, each answer with its completeness."""
