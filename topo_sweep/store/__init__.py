"""The folder of a sweep: its paths, tables, Parquet parts and `sweep.json`.

Not here: what the numbers in it mean (`analysis`), and anything that trains or imports torch.
"""
