import os
import tempfile
import unittest

import shelf


class FindTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = os.path.join(folder.name, "shelf")
        os.makedirs(os.path.join(self.root, "poems"))
        with open(os.path.join(self.root, "poems", "a b.txt"), "w") as file:
            file.write("a poem")

    def test_a_file_is_found_by_its_path(self):
        file = shelf.find(self.root, "/poems/a%20b.txt?line=1")
        self.assertTrue(file.endswith("a b.txt"))

    def test_what_is_not_there_is_not_found(self):
        for path in ["/", "/poems", "/nothing.txt"]:
            with self.assertRaises(shelf.NotOnShelf):
                shelf.find(self.root, path)
