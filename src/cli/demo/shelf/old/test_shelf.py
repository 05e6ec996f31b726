import os
import tempfile
import unittest

import shelf


class ShelfTest(unittest.TestCase):
    def test_a_file_is_found_by_its_path(self):
        with tempfile.TemporaryDirectory() as root:
            with open(os.path.join(root, "a b.txt"), "w") as file:
                file.write("a poem")
            self.assertTrue(shelf.find(root, "/a%20b.txt").endswith("a b.txt"))
            with self.assertRaises(shelf.NotOnShelf):
                shelf.find(root, "/nothing.txt")
