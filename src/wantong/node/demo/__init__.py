"""The demonstration: six crossings between three nodes, on one real dataset and on people who do not exist."""
