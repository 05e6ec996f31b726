//! `embargo hook`: what git runs for a push. Hands the push to the server and shows its answer; any doubt refuses.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::domain::repo::RefUpdate;
use crate::wire::hook::{HookAnswer, HookCall, HookName};

/// Bytes git may hand to a hook.
const LONGEST: u64 = 1024 * 1024;
/// How long the server may take to look through a push.
const PATIENCE: Duration = Duration::from_mins(10);

/// Runs a hook and returns whether the push goes on.
pub(super) fn run(hook: HookName) -> bool {
    match ask(hook) {
        Ok(answer) => {
            for line in &answer.lines {
                say(line);
            }
            answer.accepted
        }
        Err(sentence) => {
            say(&format!("embargo: {sentence}"));
            false
        }
    }
}

/// What a hook writes to standard error is what the pusher reads.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

fn ask(hook: HookName) -> Result<HookAnswer, &'static str> {
    let socket = variable("EMBARGO_SOCKET")
        .ok_or("EMBARGO_SOCKET is not set: this repository takes pushes only through its server")?;
    let ticket = variable("EMBARGO_TICKET")
        .ok_or("EMBARGO_TICKET is not set: this repository takes pushes only through its server")?;
    let call = HookCall { hook, ticket, quarantine: variable("GIT_QUARANTINE_PATH"), updates: updates()? };
    let gone = "the server does not answer: push again in a moment";
    let mut stream = UnixStream::connect(socket).map_err(|_| gone)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(|_| gone)?;
    let mut line = serde_json::to_vec(&call).map_err(|_| gone)?;
    line.push(b'\n');
    stream.write_all(&line).map_err(|_| gone)?;
    let mut answer = String::new();
    BufReader::new(stream.take(LONGEST)).read_line(&mut answer).map_err(|_| gone)?;
    serde_json::from_str(&answer).map_err(|_| gone)
}

/// Reads `old new ref` lines, as git writes them to pre-receive and post-receive (githooks(5)).
fn updates() -> Result<Vec<RefUpdate>, &'static str> {
    let odd = "git handed over something that is no list of refs";
    let mut text = String::new();
    std::io::stdin().take(LONGEST).read_to_string(&mut text).map_err(|_| odd)?;
    text.lines()
        .map(|line| {
            let mut parts = line.splitn(3, ' ');
            let (old, new, name) = (parts.next(), parts.next(), parts.next());
            let (Some(old), Some(new), Some(name)) = (old, new, name) else { return Err(odd) };
            let id = |text: &str| text.parse().map_err(|_| odd);
            Ok(RefUpdate { name: name.to_owned(), old: id(old)?, new: id(new)? })
        })
        .collect()
}

#[expect(clippy::disallowed_methods, reason = "git and the server speak to a hook by its environment")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
