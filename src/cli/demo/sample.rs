//! The sample project: `shelf`, a small file server in Python with a hole that can be used, in two lines.
//!
//! The hole is real: a path is looked at before its percent signs are decoded, so `%2e%2e` leads off the shelf.

/// A file: where it lies in the tree, and what is in it.
pub(super) type File = (&'static str, &'static str);

/// A line of the project and how it is mended.
pub(super) struct SampleLine {
    /// The branch.
    pub(super) name: &'static str,
    /// The tag of the release before.
    pub(super) last: &'static str,
    /// The tag of the release that mends it.
    pub(super) tag: &'static str,
    /// The tree.
    pub(super) tree: &'static [File],
    /// The test that shows the hole.
    pub(super) test: File,
    /// The file without the hole.
    pub(super) mended: File,
}

/// The repository's name.
pub(super) const NAME: &str = "shelf";

/// The proof of concept: exits with 0 where the hole is, with 1 where it is closed.
pub(super) const PROOF: File = ("poc.py", include_str!("shelf/poc.py"));

const WORKFLOW: File = (".github/workflows/ci.yml", include_str!("shelf/ci.yml"));
const ESCAPE: &str = include_str!("shelf/main/test_escape.py");

/// The older line, from which the newer one was made.
pub(super) const OLD: SampleLine = SampleLine {
    name: "1.x",
    last: "v1.8.4",
    tag: "v1.8.5",
    tree: &[
        WORKFLOW,
        ("README.md", include_str!("shelf/old/README.md")),
        ("shelf.py", include_str!("shelf/old/shelf.py")),
        ("test_shelf.py", include_str!("shelf/old/test_shelf.py")),
    ],
    test: ("test_escape.py", ESCAPE),
    mended: ("shelf.py", include_str!("shelf/old/shelf_fixed.py")),
};

/// The newer line.
pub(super) const MAIN: SampleLine = SampleLine {
    name: "main",
    last: "v2.3.0",
    tag: "v2.3.1",
    tree: &[
        WORKFLOW,
        ("README.md", include_str!("shelf/main/README.md")),
        ("shelf/__init__.py", include_str!("shelf/main/init.py")),
        ("shelf/__main__.py", include_str!("shelf/main/run.py")),
        ("shelf/server.py", include_str!("shelf/main/server.py")),
        ("tests/__init__.py", ""),
        ("tests/test_find.py", include_str!("shelf/main/test_find.py")),
    ],
    test: ("tests/test_escape.py", ESCAPE),
    mended: ("shelf/server.py", include_str!("shelf/main/server_fixed.py")),
};
