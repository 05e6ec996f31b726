//! Sample repositories for the tests of this module.
