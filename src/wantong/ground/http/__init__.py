"""HTTP for every floor: who is asking (a signed-in operator or a program with a token), and what he may do."""
