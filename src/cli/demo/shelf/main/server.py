"""Finds and sends files."""

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


class NotOnShelf(Exception):
    """No file of the shelf goes by this path."""


def find(root, url):
    """Return the file that a request's path names."""
    path = urlsplit(url).path
    if ".." in path.split("/"):
        raise NotOnShelf(url)
    file = os.path.join(root, unquote(path).lstrip("/"))
    if not os.path.isfile(file):
        raise NotOnShelf(url)
    return file


def make_server(root, port):
    """Make a server for the files of a folder; port 0 takes a free one."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            try:
                with open(find(root, self.path), "rb") as file:
                    content = file.read()
            except NotOnShelf:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *words):
            pass

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)
