//! The data folder as a server takes it: its own user's from top to bottom, and for one process alone.
//!
//! Guards: a server never starts on a folder it could later not use, and none that runs as root leaves files in another
//! user's. Leaves what lies in the folder to the ports.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::Path;
use std::time::{Duration, Instant};

use super::Error;

/// The user who may do everything, and whose files others cannot use.
const ROOT: &str = "root";
/// How deep owners are looked at: to the repositories, and not into each of them.
const DEPTH: usize = 3;
/// How long a server waits for the folder: one that was killed may leave it for a moment to a process it was just starting.
const PATIENCE: Duration = Duration::from_secs(1);
/// And how long between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Takes the data folder for this process alone: a second server on it is refused, never a twin.
pub(super) fn take(data: &Path) -> Result<File, Error> {
    let unusable = |source| Error::Data { path: data.display().to_string(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(data).map_err(unusable)?;
    let us = rustix::process::geteuid().as_raw();
    if let Some((path, owner)) = foreign(data, us, DEPTH).map_err(unusable)? {
        let (whole, owner, us) = (Path::new(&path) == data, name(owner), name(us));
        let advice = if whole && us == ROOT {
            format!(
                "run it as {owner} (`sudo -u {owner} embargo serve`), since what root makes here {owner} could not use"
            )
        } else {
            format!("give the folder to {us} with `chown -R {us} {}`, as root", data.display())
        };
        return Err(Error::Foreign { path, owner, us, advice });
    }
    let run = data.join("run");
    DirBuilder::new().recursive(true).mode(0o700).create(&run).map_err(unusable)?;
    let lock = File::create(run.join("lock")).map_err(unusable)?;
    let until = Instant::now() + PATIENCE;
    while rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_err() {
        if Instant::now() >= until {
            return Err(Error::Taken { path: data.display().to_string() });
        }
        std::thread::sleep(PAUSE);
    }
    Ok(lock)
}

/// Finds something that belongs to another user than this one.
fn foreign(path: &Path, us: u32, depth: usize) -> io::Result<Option<(String, u32)>> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        // A file of the database that went away meanwhile is nobody's.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if found.uid() != us {
        return Ok(Some((path.display().to_string(), found.uid())));
    }
    if depth == 0 || !found.is_dir() {
        return Ok(None);
    }
    for entry in fs::read_dir(path)? {
        if let Some(other) = foreign(&entry?.path(), us, depth - 1)? {
            return Ok(Some(other));
        }
    }
    Ok(None)
}

/// Names a user as the machine's list of accounts does; by number where it does not.
fn name(user: u32) -> String {
    let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let named = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(user)).then(|| name.to_owned())
    };
    accounts.lines().find_map(named).unwrap_or_else(|| user.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_another_is_found_wherever_it_lies() {
        let data = tempfile::tempdir().unwrap();
        fs::create_dir_all(data.path().join("repos/mirror/x.git/objects")).unwrap();
        let us = fs::metadata(data.path()).unwrap().uid();
        assert_eq!(foreign(data.path(), us, DEPTH).unwrap(), None);
        let (path, owner) = foreign(data.path(), us + 1, DEPTH).unwrap().unwrap();
        assert_eq!((path.as_str(), owner), (data.path().to_str().unwrap(), us));
    }

    #[test]
    fn users_are_called_by_name_where_they_have_one() {
        assert_eq!(name(0), "root");
        assert_eq!(name(4_000_000_000), "4000000000");
    }
}
