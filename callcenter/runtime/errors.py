"""What is wrong, out of the groups that task groups wrap it in."""

from __future__ import annotations


def first_error(error: BaseException) -> BaseException:
    """The first error within a group, or within the groups that it holds; an error that is no group is itself."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
