"""Runs a shelf: python3 -m shelf FOLDER."""

import sys

from . import make_server

if __name__ == "__main__":
    make_server(sys.argv[1], 8000).serve_forever()
