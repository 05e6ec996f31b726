//! The folder of one job on the server's disk: workspace, home, temporary files, and what each step is handed.
//!
//! Guards: nothing in it is shared with the server's own files, and the server never follows a link that a check left in
//! it. Leaves the checkout to `git`, and who may enter to `sandbox`.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, lchown};
use std::path::{Path, PathBuf};

use super::Error;

/// Most bytes that are read back from a file a step wrote.
const READ_BACK: u64 = 1024 * 1024;
/// The files a step may write for later steps.
const COMMAND_FILES: [&str; 5] = ["env", "output", "path", "summary", "state"];

/// The folder of one job. Removed by [`JobFolder::remove`], which must be called when the job has ended.
#[derive(Debug)]
pub struct JobFolder {
    root: PathBuf,
}

/// What one step is handed: its script, and the files it may write for later steps.
#[derive(Debug)]
pub(super) struct StepFolder {
    pub(super) path: PathBuf,
    /// Where the sandbox's arguments go; outside of what the step sees.
    pub(super) arguments: PathBuf,
}

impl JobFolder {
    /// Makes the folder in `parent`, which must exist; one of an earlier attempt under the same name is removed first.
    pub fn create(parent: &Path, name: &str) -> Result<Self, Error> {
        let folder = Self { root: parent.join(name) };
        folder.clear().map_err(Error::folder("cleared"))?;
        let make = |path: &Path| DirBuilder::new().mode(0o700).create(path);
        [folder.root.clone(), folder.workspace(), folder.home(), folder.temporary(), folder.root.join("steps")]
            .iter()
            .try_for_each(|path| make(path))
            .map_err(Error::folder("made"))?;
        Ok(folder)
    }

    /// Returns where the tree of the commit belongs. It must borrow nothing: no hard links, no alternates.
    pub fn workspace(&self) -> PathBuf {
        self.root.join("workspace")
    }

    pub(super) fn home(&self) -> PathBuf {
        self.root.join("home")
    }

    pub(super) fn temporary(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// Removes the folder with everything in it, whatever modes a check left behind.
    pub fn remove(self) -> Result<(), Error> {
        self.clear().map_err(Error::folder("removed"))
    }

    fn clear(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.root) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                walk(&self.root, &mut |path, metadata| {
                    if metadata.is_dir() { fs::set_permissions(path, Permissions::from_mode(0o700)) } else { Ok(()) }
                })?;
                fs::remove_dir_all(&self.root)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// Hands the folder to the user that checks run under; `None` means the server's own.
    ///
    /// Refuses a file with a second name: it could be part of the server's own store, and the check could change it.
    pub(super) fn hand_to(&self, uid: Option<u32>) -> Result<(), Error> {
        walk(&self.root, &mut |path, metadata| {
            if !metadata.is_dir() && metadata.nlink() > 1 {
                return Err(io::Error::other("a file of the workspace has a second name"));
            }
            uid.map_or(Ok(()), |uid| lchown(path, Some(uid), Some(uid)))
        })
        .map_err(Error::folder("handed over"))
    }

    /// Makes the folder of a step, with its script.
    pub(super) fn step(&self, number: usize, script: &str, uid: Option<u32>) -> Result<StepFolder, Error> {
        let steps = self.root.join("steps");
        let path = steps.join(number.to_string());
        let made = DirBuilder::new().mode(0o700).create(&path).and_then(|()| {
            write_new(&path.join("script"), script.as_bytes())?;
            COMMAND_FILES.iter().try_for_each(|name| write_new(&path.join(name), b""))?;
            let Some(uid) = uid else { return Ok(()) };
            walk(&path, &mut |path, _| lchown(path, Some(uid), Some(uid)))
        });
        made.map_err(Error::folder("made"))?;
        Ok(StepFolder { path, arguments: steps.join(format!("{number}.arguments")) })
    }
}

impl StepFolder {
    /// Reads a file that the step wrote for later steps; empty unless it is a plain file.
    pub(super) fn read_back(&self, name: &str) -> Result<String, Error> {
        // Not blocking and not following: the step may have put a pipe or a link to a file of the server in its place.
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        let Ok(flags) = i32::try_from(flags.bits()) else { return Ok(String::new()) };
        let Ok(file) = OpenOptions::new().read(true).custom_flags(flags).open(self.path.join(name)) else {
            return Ok(String::new());
        };
        let mut bytes = Vec::new();
        let read = file
            .metadata()
            .and_then(|metadata| if metadata.is_file() { file.take(READ_BACK).read_to_end(&mut bytes) } else { Ok(0) });
        read.map_err(Error::folder("read"))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Writes the sandbox's arguments, each ended by a zero byte.
    pub(super) fn write_arguments(&self, arguments: &[u8]) -> Result<(), Error> {
        write_new(&self.arguments, arguments).map_err(Error::folder("made"))
    }
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)
}

/// Visits a tree, folders before what is in them, links as themselves.
fn walk(path: &Path, visit: &mut dyn FnMut(&Path, &fs::Metadata) -> io::Result<()>) -> io::Result<()> {
    let mut waiting = vec![path.to_owned()];
    while let Some(path) = waiting.pop() {
        let metadata = fs::symlink_metadata(&path)?;
        visit(&path, &metadata)?;
        if metadata.is_dir() {
            for entry in fs::read_dir(&path)? {
                waiting.push(entry?.path());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_in_place_of_an_answer_is_not_followed() {
        let scratch = tempfile::tempdir().unwrap();
        let secret = scratch.path().join("secret");
        fs::write(&secret, "A=server secret").unwrap();
        let folder = JobFolder::create(scratch.path(), "job").unwrap();
        let step = folder.step(0, "true", None).unwrap();
        fs::remove_file(step.path.join("env")).unwrap();
        std::os::unix::fs::symlink(&secret, step.path.join("env")).unwrap();
        assert_eq!(step.read_back("env").unwrap(), "");
        fs::remove_file(step.path.join("path")).unwrap();
        fs::create_dir(step.path.join("path")).unwrap();
        assert_eq!(step.read_back("path").unwrap(), "");
        assert_eq!(step.read_back("never").unwrap(), "");
    }

    #[test]
    fn a_file_shared_with_the_server_is_not_handed_over() {
        let scratch = tempfile::tempdir().unwrap();
        let own = scratch.path().join("object");
        fs::write(&own, "of the server").unwrap();
        let folder = JobFolder::create(scratch.path(), "job").unwrap();
        fs::hard_link(&own, folder.workspace().join("object")).unwrap();
        assert!(folder.hand_to(None).is_err());
    }

    #[test]
    fn a_folder_closed_by_a_check_is_removed_all_the_same() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = JobFolder::create(scratch.path(), "job").unwrap();
        let closed = folder.workspace().join("closed");
        fs::create_dir_all(closed.join("below")).unwrap();
        std::os::unix::fs::symlink("/", folder.workspace().join("link")).unwrap();
        fs::set_permissions(&closed, Permissions::from_mode(0o000)).unwrap();
        folder.remove().unwrap();
        assert!(!scratch.path().join("job").exists());
    }
}
