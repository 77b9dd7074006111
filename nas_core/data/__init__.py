"""Images as tensors: files of data sets, splits, augmentation on the device that holds them.

Not here: the names and sizes of data sets (`protocols`), and when a batch is drawn (`training`).
"""
