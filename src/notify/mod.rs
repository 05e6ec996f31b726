//! Mail: says that there is news, never what.
