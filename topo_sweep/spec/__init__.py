"""From YAML and options to a frozen sweep, and from a sweep to its trials with their ids.

Not here: what is done already (`store`), and anything that reads an image or imports torch.
"""
