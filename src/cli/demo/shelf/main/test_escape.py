import os
import tempfile
import unittest

import shelf


class EscapeTest(unittest.TestCase):
    def test_no_path_leads_off_the_shelf(self):
        with tempfile.TemporaryDirectory() as folder:
            root = os.path.join(folder, "shelf")
            os.mkdir(root)
            with open(os.path.join(folder, "secret.txt"), "w") as file:
                file.write("a secret")
            for path in ["/../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt"]:
                with self.subTest(path), self.assertRaises(shelf.NotOnShelf):
                    shelf.find(root, path)
