"""What other packages have, by its place: "package.module:name"."""

import importlib
from typing import Any

from jaxsr.errors import InputError, first_line


def at_place(place: str, what: str) -> Any:
    """Returns what `place` names, "package.module:name".

    Args:
        what: begins the message if it cannot be imported, such as "model 'a.b:C'".

    Raises:
        InputError: there is no such module, or nothing of that name in it.
    """
    module, _, attribute = place.partition(":")
    try:
        found = importlib.import_module(module)
        for part in attribute.split("."):  # of a class inside of another
            found = getattr(found, part)
        return found
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(f"{what} cannot be imported ({first_line(error)})") from error
