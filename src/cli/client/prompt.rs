//! Questions to the person at the terminal, and texts and codes that are read from files instead of arguments.
//!
//! Guards: what is secret is not shown while it is typed and never stands in an argument.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};
use std::path::Path;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use super::{Failure, Result};
use crate::domain::sealed::Secret;
use crate::domain::text::Body;

/// More than any text or code may have.
const LONGEST: u64 = 128 * 1024;

/// The terminal while it does not show what is typed.
struct Silent<'a> {
    terminal: &'a File,
    before: Termios,
}

impl Drop for Silent<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.terminal, OptionalActions::Flush, &self.before);
    }
}

/// Asks for a secret on the terminal, which does not show it. `None`: nobody is there, or nothing was typed.
pub(super) fn secret(question: &str) -> Option<Secret> {
    let mut terminal = OpenOptions::new().read(true).write(true).open("/dev/tty").ok()?;
    let before = tcgetattr(&terminal).ok()?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    silent.local_modes.insert(LocalModes::ECHONL);
    write!(terminal, "{question}: ").ok()?;
    let mut line = Zeroizing::new(String::new());
    {
        tcsetattr(&terminal, OptionalActions::Flush, &silent).ok()?;
        let silent = Silent { terminal: &terminal, before };
        BufReader::new(silent.terminal.take(LONGEST)).read_line(&mut line).ok()?;
    }
    let line = line.trim_end_matches(['\r', '\n']);
    (!line.is_empty()).then(|| Secret::new(line.to_owned()))
}

/// Asks yes or no; only `y` and `yes` are yes. `None`: nobody is there to answer.
pub(super) fn confirm(question: &str) -> Option<bool> {
    if !io::stdin().is_terminal() {
        return None;
    }
    write!(io::stderr().lock(), "{question} [y/N] ").ok()?;
    let mut line = String::new();
    io::stdin().lock().take(LONGEST).read_line(&mut line).ok()?;
    Some(matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// Reads a text from a file, or from standard input for `-`.
pub(super) fn text(file: &Path) -> Result<Body> {
    if file == Path::new("-") && io::stdin().is_terminal() {
        let _ = writeln!(io::stderr().lock(), "Write the text, then press Ctrl-D on a line of its own.");
    }
    Ok(read(file)?.parse()?)
}

/// Reads what is small from a file, or from standard input for `-`.
pub(super) fn read(file: &Path) -> Result<Zeroizing<String>> {
    let failed = |error| Failure::because(format!("{} could not be read.", file.display()), error);
    let mut text = Zeroizing::new(String::new());
    if file == Path::new("-") {
        io::stdin().lock().take(LONGEST).read_to_string(&mut text).map_err(failed)?;
    } else {
        let open = File::open(file).map_err(failed)?;
        open.take(LONGEST).read_to_string(&mut text).map_err(failed)?;
    }
    Ok(text)
}
