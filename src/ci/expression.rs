//! The few expressions that are understood: `env.X` and constant parts of `github`, and conditions on what came before.
//!
//! Guards: whatever else stands between `${{` and `}}` makes its job unsupported. The parser is
//! `github-actions-expressions`.

use std::collections::BTreeMap;

use github_actions_expressions::call::Function;
use github_actions_expressions::literal::Literal;
use github_actions_expressions::op::UnOp;
use github_actions_expressions::{Expr, SpannedExpr};
use serde::{Deserialize, Serialize};

/// Text with places that are filled in when the step starts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Piece {
    Text(String),
    Env(String),
}

/// When a step runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum When {
    /// If nothing failed before.
    Success,
    /// If something failed before.
    Failure,
    /// Whatever happened before.
    Always,
    /// Not at all.
    Never,
}

/// The parts of the `github` context that are known when the plan is made.
pub(super) type Known = BTreeMap<&'static str, String>;

impl Template {
    /// Takes text as it is.
    pub(super) fn plain(text: &str) -> Self {
        Self(vec![Piece::Text(text.to_owned())])
    }

    /// Reads text with `${{ }}` in it; the sentence of the error names what is not understood.
    pub(super) fn parse(text: &str, known: &Known) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(start) = rest.find("${{") {
            let inside = &rest[start + 3..];
            let Some(end) = inside.find("}}") else {
                return Err("An expression has no end: \"}}\" is missing.".to_owned());
            };
            if start > 0 {
                pieces.push(Piece::Text(rest[..start].to_owned()));
            }
            pieces.push(value(&inside[..end], known)?);
            rest = &inside[end + 2..];
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self(pieces))
    }

    /// Returns the text with every place filled from the environment; an unknown variable is empty.
    pub(super) fn fill(&self, env: &BTreeMap<String, String>) -> String {
        self.0
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => text.as_str(),
                Piece::Env(name) => env.get(name).map_or("", String::as_str),
            })
            .collect()
    }

    /// Returns the text if no place in it depends on the environment.
    pub(super) fn constant(&self) -> Option<String> {
        self.0
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => Some(text.as_str()),
                Piece::Env(_) => None,
            })
            .collect()
    }
}

impl When {
    /// Reads the text of an `if:`, with or without `${{ }}` around it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let bare = text.trim();
        let bare = bare.strip_prefix("${{").and_then(|rest| rest.strip_suffix("}}")).unwrap_or(bare).trim();
        let not_understood = || Err(format!("The condition \"{}\" is not understood here.", excerpt(bare)));
        let Ok(parsed) = Expr::parse(bare) else { return not_understood() };
        match &parsed.inner {
            Expr::Literal(Literal::Boolean(true)) => Ok(Self::Success),
            Expr::Literal(Literal::Boolean(false)) => Ok(Self::Never),
            Expr::Call(call) => match call.func {
                Function::Success => Ok(Self::Success),
                Function::Failure => Ok(Self::Failure),
                Function::Always => Ok(Self::Always),
                _ => not_understood(),
            },
            // A cancelled job runs no further step at all, so nothing else is left to ask.
            Expr::UnExpr { op: UnOp::Not, expr } => match &expr.inner {
                Expr::Call(call) if call.func == Function::Cancelled => Ok(Self::Always),
                _ => not_understood(),
            },
            _ => not_understood(),
        }
    }
}

fn value(inside: &str, known: &Known) -> Result<Piece, String> {
    let not_understood = || Err(format!("The expression \"{}\" is not understood here.", excerpt(inside)));
    let Ok(parsed) = Expr::parse(inside.trim()) else { return not_understood() };
    match &parsed.inner {
        Expr::Literal(Literal::String(text)) => Ok(Piece::Text(text.to_string())),
        Expr::Context(context) => {
            let head = context.parts.first().and_then(identifier).unwrap_or_default();
            match (head.to_ascii_lowercase().as_str(), context.single_tail()) {
                ("env", Some(name)) => Ok(Piece::Env(name.to_owned())),
                ("github", Some(name)) => match known.get(name.to_ascii_lowercase().as_str()) {
                    Some(text) => Ok(Piece::Text(text.clone())),
                    None => not_understood(),
                },
                _ => not_understood(),
            }
        }
        _ => not_understood(),
    }
}

fn identifier<'a>(part: &'a SpannedExpr<'_>) -> Option<&'a str> {
    match &part.inner {
        Expr::Identifier(identifier) => Some(identifier.as_str()),
        _ => None,
    }
}

/// A short, harmless form of foreign text, for a sentence.
pub(super) fn excerpt(text: &str) -> String {
    let mut short = crate::domain::text::shown(text.trim().lines().next().unwrap_or_default());
    if short.chars().count() > 80 {
        short = short.chars().take(79).chain(['…']).collect();
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Known {
        Known::from([("sha", "abc".to_owned())])
    }

    #[test]
    fn variables_and_known_facts_are_filled_in() {
        let template = Template::parse("a ${{ env.NAME }}-${{ github.SHA }}${{'!'}} ${HOME}", &known()).unwrap();
        let env = BTreeMap::from([("NAME".to_owned(), "${{ env.X }}".to_owned())]);
        assert_eq!(template.fill(&env), "a ${{ env.X }}-abc! ${HOME}", "what is filled in is not read again");
        assert_eq!(template.constant(), None);
        assert_eq!(Template::parse("plain", &known()).unwrap().constant().unwrap(), "plain");
    }

    #[test]
    fn everything_else_is_not_understood() {
        for text in [
            "${{ secrets.TOKEN }}",
            "${{ github.token }}",
            "${{ matrix.os }}",
            "${{ a",
            "${{ }}",
            "${{ env.A || 'b' }}",
            "${{ env }}",
            "${{ env.a.b }}",
            "${{ github.event.number }}",
            "${{ '}}' }}",
            "${{ hashFiles('a') }}",
        ] {
            assert!(Template::parse(text, &known()).is_err(), "{text}");
        }
        assert!(Template::parse(&format!("${{{{ {} }}}}", "(".repeat(100_000)), &known()).is_err());
    }

    #[test]
    fn conditions_on_what_came_before_are_understood() {
        assert_eq!(When::parse("always()"), Ok(When::Always));
        assert_eq!(When::parse("${{ failure() }}"), Ok(When::Failure));
        assert_eq!(When::parse("!cancelled()"), Ok(When::Always));
        assert_eq!(When::parse("false"), Ok(When::Never));
        for other in ["", "github.ref == 'x'", "success() && true", "failure", "cancelled()", "${{ a", "env.X"] {
            assert!(When::parse(other).is_err(), "{other}");
        }
    }
}
