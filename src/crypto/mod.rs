//! Keys, tokens, sealed columns, age recipients and SSH signatures.
