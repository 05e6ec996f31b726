//! The files that say who may sign tags, looked at once at the start.

use crate::config::ProjectConfig;

/// Says what is wrong with the files of a project, in a sentence.
pub(super) fn check(project: &ProjectConfig) -> Result<(), String> {
    let Some(allowed) = project.allowed_signers() else { return Ok(()) };
    for file in allowed.ssh.iter().chain(&allowed.openpgp) {
        let shown = file.display();
        if !file.is_absolute() {
            return Err(format!("{shown} names who may sign, and is no absolute path."));
        }
        let bytes = std::fs::read(file).map_err(|_| format!("{shown}, which says who may sign, cannot be read."))?;
        // A packet of OpenPGP begins with a set bit (RFC 9580, section 4.2); an armored file does not.
        if allowed.openpgp.as_ref() == Some(file) && bytes.first().is_none_or(|byte| byte & 0x80 == 0) {
            return Err(format!("{shown} holds no OpenPGP keys as `gpg --export` writes them, without --armor."));
        }
    }
    Ok(())
}
