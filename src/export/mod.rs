//! An advisory as the documents the public reads: HTML, Markdown, OSV, Atom.
