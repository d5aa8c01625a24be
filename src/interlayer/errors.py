"""The one exception that is meant for the person at the keyboard."""


class InputError(ValueError):
    """Error in something that the caller gave; the message is one sentence with what to do.

    The command line prints the message alone and exits with status 2.

    >>> raise InputError("no such task 'blurr'; use deblur:SIGMA")
    Traceback (most recent call last):
    ...
    interlayer.errors.InputError: no such task 'blurr'; use deblur:SIGMA
    """
