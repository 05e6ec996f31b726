//! The client's children: git in the clone one stands in, `ssh-keygen` for keys that only it or an agent can use, the
//! desktop's opener and the user's editor.
//!
//! Guards: no secret stands in an argument; messages go through standard input. Children keep the user's environment, which
//! names the agent, the screen and the user's own git configuration.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};

/// Signs a message with `ssh-keygen -Y sign`, which asks for the passphrase or the agent by itself.
///
/// Returns the armored signature; `None` if it would not sign. Its own words go to the terminal.
pub(super) fn ssh_sign(key: &Path, namespace: &str, message: &[u8]) -> io::Result<Option<String>> {
    let arguments = [OsStr::new("-Y"), OsStr::new("sign"), OsStr::new("-n"), OsStr::new(namespace), OsStr::new("-f")];
    fed(child("ssh-keygen").args(arguments).arg(key), message)
}

/// Gives a program a message and returns what it printed; `None` if it did not succeed.
fn fed(command: &mut Command, message: &[u8]) -> io::Result<Option<String>> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut input = child.stdin.take().expect("standard input was asked for above");
    let written = input.write_all(message);
    drop(input);
    let ended = child.wait_with_output()?;
    // A child that stops early has said why itself.
    if !ended.status.success() || written.is_err() {
        return Ok(None);
    }
    Ok(String::from_utf8(ended.stdout).ok())
}

/// Signs a message with `gpg`, which asks for what it needs by itself.
///
/// Returns the armored signature; `None` if it would not sign. Its own words go to the terminal.
pub(super) fn gpg_sign(key: &str, message: &[u8]) -> io::Result<Option<String>> {
    fed(child("gpg").args(["--detach-sign", "--armor", "--local-user", key]), message)
}

/// Opens a file in the desktop's browser; tells whether there was something to open it with.
#[expect(clippy::disallowed_methods, reason = "whether there is a screen stands in the environment only")]
pub(super) fn open_in_browser(file: &Path) -> bool {
    let screen =
        ["WAYLAND_DISPLAY", "DISPLAY"].iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    if !screen {
        return false;
    }
    let opened = child("xdg-open").arg(file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    opened.is_ok_and(|status| status.success())
}

/// Runs git in this folder; `None` if it did not succeed, which it told the terminal itself. Returns what it printed.
pub(super) fn git(folder: &Path, arguments: &[&str]) -> io::Result<Option<String>> {
    finished(child("git").current_dir(folder).args(arguments).stderr(Stdio::inherit()))
}

/// Asks git something that may well have no answer; its complaints are not shown.
pub(super) fn ask_git(folder: &Path, arguments: &[&str]) -> io::Result<Option<String>> {
    finished(child("git").current_dir(folder).args(arguments).stderr(Stdio::null()))
}

fn finished(command: &mut Command) -> io::Result<Option<String>> {
    let output = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
    Ok(output.status.success().then_some(text))
}

/// Opens a file in the editor that `VISUAL` or `EDITOR` names, and waits; tells whether it ended well.
///
/// The variable may hold arguments, split at spaces: no shell reads it.
#[expect(clippy::disallowed_methods, reason = "which editor the user wants stands in the environment only")]
pub(super) fn edit_file(file: &Path) -> io::Result<bool> {
    let named =
        ["VISUAL", "EDITOR"].iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.trim().is_empty()));
    let named = named.unwrap_or_else(|| "vi".to_owned());
    let mut words = named.split_whitespace();
    let program = words.next().unwrap_or("vi");
    Ok(child(program).args(words).arg(file).status()?.success())
}

#[expect(clippy::disallowed_methods, reason = "the one place where the client builds children")]
fn child(program: &str) -> Command {
    Command::new(program)
}
