"""Shelf lends out the files of one folder over HTTP."""

import http.server
import os
import posixpath
import urllib.parse

__version__ = "1.8.4"


class NotOnShelf(Exception):
    """No file of the shelf goes by this path."""


def find(root, url):
    """Return the file that a request's path names."""
    name = posixpath.normpath("/" + urllib.parse.unquote(url.split("?")[0]))
    root = os.path.realpath(root)
    file = os.path.realpath(root + "/" + name.lstrip("/"))
    if not file.startswith(root + os.sep) or not os.path.isfile(file):
        raise NotOnShelf(url)
    return file


def make_server(root, port):
    """Make a server for the files of a folder; port 0 takes a free one."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            try:
                with open(find(root, self.path), "rb") as file:
                    content = file.read()
            except NotOnShelf:
                self.send_error(404)
                return
            self.send_response(200)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *words):
            pass

    return http.server.HTTPServer(("127.0.0.1", port), Handler)
