"""Side-by-side measurements; each module has a `main` and prints a table. Shared machines are noisy: compare ratios."""
