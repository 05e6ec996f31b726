//! `embargo`: a private server where open-source projects fix vulnerabilities in secret and disclose them on the minute.
//!
//! Six ideas carry the code.
//!
//! 1. **Parse at the edge.** Inside, a [`domain::repo::RefName`] or [`domain::id::CaseId`] is valid by construction.
//! 2. **A `Grant` is proof.** `domain::access::admit` is its only constructor; whatever reads or changes a case takes one.
//! 3. **State changes are pure.** They return the next value and its event, or a refusal with a sentence.
//! 4. **One transaction saves a change.** Row, event and jobs; no way exists to write state without its event.
//! 5. **Effects are jobs.** Network, git push and mail happen after commit, look before they act, may run twice.
//! 6. **Secrets have types.** [`domain::sealed::Sealed`] is ciphertext, [`domain::sealed::Secret`] never prints.
//!
//! Layers, each importing only what stands to its right:
//!
//! ```text
//! main -> cli -> { http, worker } -> workflow -> app -> config -> { store git crypto ci export notify forge wire } -> domain
//! ```

pub mod app;
pub mod ci;
pub mod cli;
pub mod config;
pub mod crypto;
pub mod domain;
pub mod export;
pub mod forge;
pub mod git;
pub mod http;
pub mod notify;
pub mod store;
pub mod wire;
pub mod worker;
pub mod workflow;
