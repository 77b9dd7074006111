"""Every file name of a store, in one place."""
