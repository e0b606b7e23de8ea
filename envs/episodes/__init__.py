"""Episodes as JSON, benchmarks made of them, and what is counted when policies run them. No simulator needed here."""
