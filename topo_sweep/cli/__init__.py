"""The command line: a thin module a command group, their options, and what goes to the terminal.

Commands import what is heavy inside their functions, so that `--help` answers at once. Not here:
how anything is trained, stored, computed or drawn; commands call the other rooms for it.
"""
