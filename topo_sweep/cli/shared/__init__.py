"""What several commands share: options, how they execute and end, and what they take for what.

Not here: any command.
"""
