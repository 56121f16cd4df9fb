"""The one exception for input that a person can mend."""


class InputError(ValueError):
    """Bad input: the message is one sentence that names the file or argument and says how to mend it."""
