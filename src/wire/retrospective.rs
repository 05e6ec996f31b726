//! The retrospective of a case as the API shows it.

use serde::{Deserialize, Serialize};

/// What is known of a case afterwards: `GET /api/v1/cases/{id}/retrospective`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RetrospectiveView {
    /// The case.
    pub case: String,
    /// The steps that happened, in the order they did.
    pub steps: Vec<StepView>,
    /// Milliseconds from the last push to the advisory.
    pub gap_ms: Option<i64>,
    /// When the release waited for a person, and for what.
    pub waits: Vec<WaitView>,
    /// Who was told before, by audience; empty for a reader who may not know.
    pub told: Vec<ToldView>,
    /// All of it as Markdown, with headings for what people add.
    pub markdown: String,
}

/// One step.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StepView {
    /// Its word.
    pub milestone: String,
    /// Its name for people.
    pub name: String,
    /// When, RFC 3339.
    pub at: String,
    /// Seconds after the case was opened.
    pub after_seconds: i64,
}

/// A time during which the release waited.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WaitView {
    /// What for.
    pub reason: String,
    /// Since when, RFC 3339.
    pub from: String,
    /// Until when; none if it never went on.
    pub to: Option<String>,
}

/// How many of an audience were told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ToldView {
    /// The audience.
    pub audience: String,
    /// How much they were told.
    pub level: String,
    /// How many copies went out.
    pub copies: usize,
    /// How many were acknowledged.
    pub acknowledged: usize,
}
