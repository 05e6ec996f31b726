//! A release followed on the terminal: a line for each step of its run, as it happens.

use std::collections::BTreeMap;
use std::time::Duration;

use super::server::Server;
use super::{Output, Result};
use crate::domain::id::ReleaseId;
use crate::domain::release::ReleaseState;
use crate::domain::text::shown;
use crate::wire::release::{EffectView, ReleaseView};

/// How long between two looks.
const PAUSE: Duration = Duration::from_secs(1);

/// Tells each step once in each state it comes to, and returns the release when it is done, held or given up, or when no time
/// will bring it further: a plan that nobody armed does not begin by itself.
pub(super) async fn to_its_end(server: &Server, id: &ReleaseId, output: Output) -> Result<ReleaseView> {
    let mut told: BTreeMap<u32, (String, u32)> = BTreeMap::new();
    let mut state = String::new();
    loop {
        let view: ReleaseView = server.get(&format!("/releases/{id}")).await?;
        if view.summary.state != state {
            state.clone_from(&view.summary.state);
            output.remark(&format!("{id} is {}, due at {}.", shown(&state), view.summary.due_at));
        }
        for effect in &view.effects {
            let now = (effect.state.clone(), effect.attempts);
            if effect.state != "pending" && told.get(&effect.position) != Some(&now) || tried_again(effect, &told) {
                output.remark(&line(effect));
                told.insert(effect.position, now);
            }
        }
        match state.parse() {
            Ok(ReleaseState::Armed | ReleaseState::Running) => {}
            Ok(
                ReleaseState::Planned
                | ReleaseState::Frozen
                | ReleaseState::Held
                | ReleaseState::Done
                | ReleaseState::Abandoned,
            )
            | Err(_) => return Ok(view),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Tells whether a step was tried without an end since it was told last.
fn tried_again(effect: &EffectView, told: &BTreeMap<u32, (String, u32)>) -> bool {
    effect.state == "pending"
        && effect.attempts > 0
        && told.get(&effect.position).is_none_or(|(_, attempts)| *attempts != effect.attempts)
}

fn line(effect: &EffectView) -> String {
    let at = effect.done_at.as_deref().or(effect.started_at.as_deref()).unwrap_or_default();
    let gap = effect.after_push_ms.map(|gap| format!(", {gap} ms after the push")).unwrap_or_default();
    let note = if effect.note.is_empty() { String::new() } else { format!(" ({})", shown(&effect.note)) };
    format!("{at} {} {} {}: {}{gap}{note}", effect.position, effect.phase, shown(&effect.target), effect.state)
}
