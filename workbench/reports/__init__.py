"""What was measured, gathered for people: reports, slices, history, tables. Torch-free."""
