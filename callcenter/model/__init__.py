"""Values that travel between the layers: ids, facts, interactions, customers, agent states."""
