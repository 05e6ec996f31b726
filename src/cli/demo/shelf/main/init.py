"""Shelf lends out the files of one folder over HTTP."""

from .server import NotOnShelf, find, make_server

__all__ = ["NotOnShelf", "find", "make_server"]
__version__ = "2.3.0"
