//! A retrospective as Markdown: what was recorded, and empty headings for what people make of it.

use std::fmt::Write as _;

use jiff::SignedDuration;

use super::instant;
use crate::domain::retrospective::Retrospective;

/// Writes the draft.
pub fn draft(retrospective: &Retrospective) -> String {
    let mut out = format!("# Retrospective of {}\n\n## What happened\n\n", retrospective.case);
    if retrospective.steps.is_empty() {
        out.push_str("Nothing is recorded.\n");
    } else {
        out.push_str("| When | What | After |\n| --- | --- | --- |\n");
    }
    for step in &retrospective.steps {
        let _ = writeln!(out, "| {} | {} | {} |", instant(step.at), step.milestone.words(), span(step.after));
    }
    if let Some(gap) = retrospective.gap {
        let _ = writeln!(out, "\nFrom the push to the advisory: {}.", span(gap));
    }
    if !retrospective.waits.is_empty() {
        out.push_str("\n## What it waited for\n\n");
    }
    for wait in &retrospective.waits {
        let reason = wait.reason.as_str().replace('_', " ");
        let _ = match wait.to {
            Some(to) => {
                writeln!(out, "- {reason}: {}, from {}", span(to.duration_since(wait.from)), instant(wait.from))
            }
            None => writeln!(out, "- {reason}: from {}, and it did not go on", instant(wait.from)),
        };
    }
    if !retrospective.told.is_empty() {
        out.push_str("\n## Who was told before\n\n");
    }
    for told in &retrospective.told {
        let (audience, level) = (&told.audience, told.level);
        let _ = writeln!(out, "- {audience} ({level}): {} told, {} acknowledged", told.copies, told.acknowledged);
    }
    out.push_str("\n## What went well\n\n## What to change\n\n## Actions\n");
    out
}

/// Says how long something took, in its two largest units.
fn span(time: SignedDuration) -> String {
    let seconds = time.as_secs();
    match seconds {
        ..0 => "before".to_owned(),
        0 => format!("{} ms", time.as_millis()),
        1..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::audience::Level;
    use crate::domain::hold::HoldReason;
    use crate::domain::retrospective::{Milestone, Step, Told, Wait};
    use jiff::Timestamp;

    #[test]
    fn a_draft_has_the_times_and_leaves_the_rest_to_people() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let step = |milestone, second| Step { milestone, at: at(second), after: SignedDuration::from_secs(second) };
        let drafted = Retrospective {
            case: "DEMO-1".parse().unwrap(),
            steps: vec![
                step(Milestone::Opened, 0),
                step(Milestone::Accepted, 9_000),
                step(Milestone::Published, 200_000),
            ],
            gap: Some(SignedDuration::from_millis(850)),
            waits: vec![Wait { reason: HoldReason::UpstreamDown, from: at(100), to: Some(at(400)) }],
            told: vec![Told {
                audience: "distros".parse().unwrap(),
                level: Level::Patches,
                copies: 3,
                acknowledged: 2,
            }],
        };
        insta::assert_snapshot!(draft(&drafted), @r"
        # Retrospective of DEMO-1

        ## What happened

        | When | What | After |
        | --- | --- | --- |
        | 1970-01-01T00:00:00Z | Opened | 0 ms |
        | 1970-01-01T02:30:00Z | Accepted | 2 h 30 min |
        | 1970-01-03T07:33:20Z | Advisory public | 2 d 7 h |

        From the push to the advisory: 850 ms.

        ## What it waited for

        - upstream down: 5 min, from 1970-01-01T00:01:40Z

        ## Who was told before

        - distros (patches): 3 told, 2 acknowledged

        ## What went well

        ## What to change

        ## Actions
        ");
    }
}
