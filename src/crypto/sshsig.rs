//! SSH keys of people, and signatures in OpenSSH's SSHSIG format: for sign-ins and for git tags.
//!
//! Guards: a signature counts only for its namespace, so that what signs someone in can never be a tag, nor the reverse; and
//! weak keys are refused where they are added. Leaves to `store` whose key it is, and to `workflow` how old a challenge may be.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use ssh_key::public::KeyData;
use ssh_key::{Algorithm, HashAlg, LineEnding, Mpint, PrivateKey, PublicKey, SshSig};

use super::Error;
use crate::domain::refusal::Malformed;

/// The namespace of sign-ins.
pub const LOGIN: &str = "embargo-login";
/// The namespace git gives its tags and commits.
pub const GIT: &str = "git";

/// No signature of an accepted key is longer.
const LONGEST_SIGNATURE: usize = 16 * 1024;
/// The set flag says that a person touched the token (FIDO CTAP2, authenticator data).
const USER_PRESENT: u8 = 1;

/// An SSH public key good enough to sign in with: Ed25519, Ed25519 on a hardware token, or RSA of 3072 to 4096 bits.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SshKey {
    key: PublicKey,
    text: String,
}

impl SshKey {
    /// Returns the fingerprint as `ssh-keygen -l` shows it: `SHA256:` and 43 letters.
    pub fn fingerprint(&self) -> String {
        self.key.fingerprint(HashAlg::Sha256).to_string()
    }

    /// Returns the key as one line without a comment.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Tells whether the private half lives on a hardware token, which signs but does not decrypt.
    pub fn is_hardware(&self) -> bool {
        self.key.key_data().is_sk_ed25519()
    }

    /// Checks an armored signature of this key, over this message, made for this namespace.
    pub fn verify(&self, namespace: &str, message: &[u8], armored: &str) -> Result<(), Error> {
        if armored.len() > LONGEST_SIGNATURE {
            return Err(Error::SignatureMalformed);
        }
        let armored = armored.trim().replace("\r\n", "\n") + "\n";
        let signature = SshSig::from_pem(armored).map_err(|_| Error::SignatureMalformed)?;
        if signature.version() != SshSig::VERSION {
            return Err(Error::SignatureMalformed);
        }
        self.key.verify(namespace, message, &signature).map_err(|_| Error::SignatureWrong)?;
        let trailer = signature.signature_bytes().len().checked_sub(5);
        let flags = trailer.and_then(|start| signature.signature_bytes().get(start));
        if self.is_hardware() && flags.is_none_or(|flags| flags & USER_PRESENT == 0) {
            return Err(Error::SignatureWrong);
        }
        Ok(())
    }

    fn accept(key: &PublicKey) -> Result<Self, Malformed> {
        match key.key_data() {
            KeyData::Ed25519(_) | KeyData::SkEd25519(_) => {}
            KeyData::Rsa(rsa) => check_rsa(&rsa.n, &rsa.e)?,
            _ => {
                return Err(Malformed::new(
                    "this kind of SSH key is not used here: give an ssh-ed25519 or ssh-rsa key",
                ));
            }
        }
        let key = PublicKey::new(key.key_data().clone(), "");
        let text = key.to_openssh().map_err(|_| RULE)?.trim().to_owned();
        Ok(Self { key, text })
    }
}

const RULE: Malformed =
    Malformed::new("an SSH public key is one line that starts with ssh-ed25519 or ssh-rsa, as in the .pub file");

fn check_rsa(modulus: &Mpint, exponent: &Mpint) -> Result<(), Malformed> {
    let (Some(modulus), Some(exponent)) = (modulus.as_positive_bytes(), exponent.as_positive_bytes()) else {
        return Err(RULE);
    };
    let leading = modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
    let bits = modulus.len() * 8 - leading;
    if bits < 3072 {
        return Err(Malformed::new("this RSA key is too short: give one of at least 3072 bits, or an ssh-ed25519 key"));
    }
    if bits > 4096 {
        return Err(Malformed::new("this RSA key is longer than 4096 bits: give a shorter one, or an ssh-ed25519 key"));
    }
    let odd = |bytes: &[u8]| bytes.last().is_some_and(|byte| byte % 2 == 1);
    if !odd(modulus) || !odd(exponent) || exponent.len() > 4 || exponent == [1] {
        return Err(Malformed::new(
            "this RSA key has numbers that no honest program makes: make a new one with ssh-keygen",
        ));
    }
    Ok(())
}

impl FromStr for SshKey {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let text = text.trim();
        if text.starts_with("-----BEGIN") {
            return Err(Malformed::new(
                "this is a private key: keep it to yourself and give its public half, the .pub file",
            ));
        }
        if text.len() > LONGEST_SIGNATURE || text.contains(['\n', '\r']) {
            return Err(RULE);
        }
        Self::accept(&PublicKey::from_openssh(text).map_err(|_| RULE)?)
    }
}

impl TryFrom<String> for SshKey {
    type Error = Malformed;
    fn try_from(text: String) -> Result<Self, Malformed> {
        text.parse()
    }
}

impl From<SshKey> for String {
    fn from(key: SshKey) -> Self {
        key.text
    }
}

impl fmt::Display for SshKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for SshKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SshKey({})", self.fingerprint())
    }
}

impl PartialEq for SshKey {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for SshKey {}

/// An unlocked SSH private key that signs. Wiped when dropped; `Debug` shows the public half.
pub struct Signer {
    private: PrivateKey,
    public: SshKey,
}

impl Signer {
    /// Parses an OpenSSH private key without a passphrase, of a kind that [`SshKey`] accepts.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Self::unlock(text, || None)
    }

    /// Parses an OpenSSH private key; `ask` is called if it is protected by a passphrase.
    pub fn unlock(text: &str, ask: impl FnOnce() -> Option<crate::domain::sealed::Secret>) -> Result<Self, Error> {
        let rule = Malformed::new("a signing key is an OpenSSH private key, Ed25519 or RSA");
        let mut private = PrivateKey::from_openssh(text).map_err(|_| Error::Key(rule.clone()))?;
        if private.is_encrypted() {
            let passphrase = ask().ok_or(Error::PassphraseMissing)?;
            private = private.decrypt(passphrase.expose()).map_err(|_| Error::PassphraseWrong)?;
        }
        if !matches!(private.algorithm(), Algorithm::Ed25519 | Algorithm::Rsa { .. }) {
            return Err(Error::Key(rule));
        }
        let public = SshKey::accept(private.public_key()).map_err(Error::Key)?;
        Ok(Self { private, public })
    }

    /// Returns the public half.
    pub fn key(&self) -> &SshKey {
        &self.public
    }

    /// Signs a message for a namespace, with SHA-512; returns the armored signature, ending in a line feed.
    pub fn sign(&self, namespace: &str, message: &[u8]) -> Result<String, Error> {
        let signature = self.private.sign(namespace, HashAlg::Sha512, message).map_err(Error::Signing)?;
        let armored = signature.to_pem(LineEnding::LF).map_err(Error::Signing)?;
        Ok(armored.trim_end().to_owned() + "\n")
    }

    /// Signs a git tag: takes the tag object without a signature, returns it with one, as `git tag -s` would write it.
    ///
    /// The text must end in a line feed, as tag objects do.
    pub fn sign_tag(&self, unsigned: &str) -> Result<String, Error> {
        Ok(format!("{unsigned}{}", self.sign(GIT, unsigned.as_bytes())?))
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.public.fingerprint())
    }
}

/// What someone signs to sign in: it names the server, so that no other server can pass it on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    server: String,
    nonce: String,
    made_at: Timestamp,
}

impl Challenge {
    /// Takes the server's own URL, a nonce used once, and the instant it was made; the texts may hold no spaces or controls.
    pub fn new(server: &str, nonce: &str, made_at: Timestamp) -> Result<Self, Malformed> {
        let plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        if !plain(server) || !plain(nonce) {
            return Err(Malformed::new("a sign-in challenge names a server and a nonce, both without spaces"));
        }
        Ok(Self { server: server.trim_end_matches('/').to_owned(), nonce: nonce.to_owned(), made_at })
    }

    /// Returns the instant the challenge was made.
    pub fn made_at(&self) -> Timestamp {
        self.made_at
    }

    /// Returns the text to sign under the namespace [`LOGIN`].
    pub fn message(&self) -> String {
        format!("embargo sign-in 1\nserver {}\nnonce {}\nmade {}\n", self.server, self.nonce, self.made_at)
    }

    /// Signs the challenge.
    pub fn sign(&self, signer: &Signer) -> Result<String, Error> {
        signer.sign(LOGIN, self.message().as_bytes())
    }

    /// Checks an answer to the challenge by the holder of a key.
    pub fn verify(&self, key: &SshKey, armored: &str) -> Result<(), Error> {
        key.verify(LOGIN, self.message().as_bytes(), armored)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests ask OpenSSH and git for their verdict")]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::process::{Command, Stdio};

    use super::super::token;
    use super::*;
    use crate::domain::sealed::Secret;

    const AT: &str = "2030-01-02T03:04:05Z";

    fn signer() -> Signer {
        let key = PrivateKey::new(ssh_key::private::KeypairData::Ed25519(token::ed25519()), "").unwrap();
        Signer::parse(&key.to_openssh(LineEnding::LF).unwrap()).unwrap()
    }

    fn run(command: &mut Command, input: &[u8]) -> (bool, Vec<u8>) {
        use std::io::Write as _;
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.success(), output.stdout)
    }

    fn keygen(folder: &Path, options: &[&str], passphrase: &str) -> PathBuf {
        let path = folder.join(format!("key-{}", options.join("")));
        let mut command = Command::new("ssh-keygen");
        command.args(["-q", "-C", "sample@example.org", "-N", passphrase]).args(options).arg("-f").arg(&path);
        assert!(run(&mut command, b"").0);
        path
    }

    #[test]
    fn signature_counts_for_its_key_message_and_namespace_only() {
        let (signer, other) = (signer(), signer());
        let armored = signer.sign(LOGIN, b"message").unwrap();
        signer.key().verify(LOGIN, b"message", &armored).unwrap();
        signer.key().verify(LOGIN, b"message", &armored.replace('\n', "\r\n")).unwrap();
        let wrong = |result| assert!(matches!(result, Err(Error::SignatureWrong)));
        wrong(signer.key().verify(GIT, b"message", &armored));
        wrong(signer.key().verify(LOGIN, b"massage", &armored));
        wrong(other.key().verify(LOGIN, b"message", &armored));
        for odd in ["", "-----BEGIN SSH SIGNATURE-----\n", &armored[..armored.len() / 2], &"x".repeat(20_000)] {
            assert!(matches!(signer.key().verify(LOGIN, b"message", odd), Err(Error::SignatureMalformed)));
        }
    }

    #[test]
    fn challenge_of_one_server_is_no_answer_for_another() {
        let signer = signer();
        let here = Challenge::new("https://a.example.org/", "n1", AT.parse().unwrap()).unwrap();
        let answer = here.sign(&signer).unwrap();
        here.verify(signer.key(), &answer).unwrap();
        assert_eq!(here.message(), format!("embargo sign-in 1\nserver https://a.example.org\nnonce n1\nmade {AT}\n"));
        for other in [
            Challenge::new("https://b.example.org", "n1", AT.parse().unwrap()).unwrap(),
            Challenge::new("https://a.example.org", "n2", AT.parse().unwrap()).unwrap(),
            Challenge::new("https://a.example.org", "n1", "2030-01-02T03:04:06Z".parse().unwrap()).unwrap(),
        ] {
            assert!(other.verify(signer.key(), &answer).is_err());
        }
        assert!(Challenge::new("https://a\nnonce x", "n", AT.parse().unwrap()).is_err());
        assert!(Challenge::new("https://a", "", AT.parse().unwrap()).is_err());
    }

    #[test]
    fn openssh_and_we_accept_each_others_signatures() {
        let folder = tempfile::tempdir().unwrap();
        for options in [vec!["-t", "ed25519"], vec!["-t", "rsa", "-b", "3072"]] {
            let path = keygen(folder.path(), &options, "");
            let public: SshKey = fs::read_to_string(path.with_extension("pub")).unwrap().parse().unwrap();
            let signer = Signer::parse(&fs::read_to_string(&path).unwrap()).unwrap();
            assert_eq!(signer.key(), &public);

            let mut sign = Command::new("ssh-keygen");
            let (ok, theirs) = run(sign.args(["-q", "-Y", "sign", "-n", LOGIN, "-f"]).arg(&path), b"message");
            assert!(ok);
            public.verify(LOGIN, b"message", std::str::from_utf8(&theirs).unwrap()).unwrap();

            let allowed = folder.path().join("allowed");
            fs::write(&allowed, format!("sample@example.org {public}\n")).unwrap();
            let ours = folder.path().join("ours.sig");
            fs::write(&ours, signer.sign(LOGIN, b"message").unwrap()).unwrap();
            for (message, accepted) in [(&b"message"[..], true), (b"massage", false)] {
                let mut verify = Command::new("ssh-keygen");
                verify.args(["-q", "-Y", "verify", "-n", LOGIN, "-I", "sample@example.org", "-f"]).arg(&allowed);
                assert_eq!(run(verify.arg("-s").arg(&ours), message).0, accepted, "{options:?}");
            }
            let mut list = Command::new("ssh-keygen");
            let (_, listed) = run(list.args(["-l", "-f"]).arg(path.with_extension("pub")), b"");
            assert!(String::from_utf8(listed).unwrap().contains(&public.fingerprint()));
        }
    }

    #[test]
    fn git_accepts_a_tag_we_signed() {
        let folder = tempfile::tempdir().unwrap();
        let signer = signer();
        let allowed = folder.path().join("allowed");
        fs::write(&allowed, format!("sample@example.org {}\n", signer.key())).unwrap();
        let git = |arguments: &[&str], input: &str| {
            let mut command = Command::new("git");
            command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", folder.path());
            command.env("GIT_CONFIG_NOSYSTEM", "1").current_dir(folder.path());
            command.args(["-c", "user.name=Sample Fixer", "-c", "user.email=sample@example.org"]);
            command.arg("-c").arg(format!("gpg.ssh.allowedSignersFile={}", allowed.display()));
            let (ok, output) = run(command.args(arguments), input.as_bytes());
            (ok, String::from_utf8(output).unwrap().trim().to_owned())
        };
        assert!(git(&["init", "-q", "repo.git", "--bare"], "").0);
        let repo = |arguments: &[&str], input: &str| git(&[&["-C", "repo.git"], arguments].concat(), input);
        let tree = repo(&["mktree"], "").1;
        let commit = repo(&["commit-tree", &tree, "-m", "first"], "").1;
        let unsigned = format!(
            "object {commit}\ntype commit\ntag v1.2.3\ntagger Sample Fixer <sample@example.org> 1893553445 +0000\n\nOne fix.\n"
        );
        for (tag, accepted) in [
            (signer.sign_tag(&unsigned).unwrap(), true),
            (signer.sign_tag(&unsigned).unwrap().replace("One fix", "Two fix"), false),
        ] {
            let (ok, id) = repo(&["hash-object", "-t", "tag", "-w", "--stdin"], &tag);
            assert!(ok);
            assert_eq!(repo(&["verify-tag", &id], "").0, accepted);
        }
    }

    #[test]
    fn weak_foreign_and_private_keys_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let public = |options: &[&str]| {
            fs::read_to_string(keygen(folder.path(), options, "").with_extension("pub")).unwrap().parse::<SshKey>()
        };
        let refusal = |options: &[&str]| public(options).unwrap_err().to_string();
        assert!(refusal(&["-t", "rsa", "-b", "2048"]).contains("too short"));
        assert!(refusal(&["-t", "ecdsa"]).contains("not used here"));
        assert!("-----BEGIN OPENSSH PRIVATE KEY-----".parse::<SshKey>().unwrap_err().to_string().contains("private"));
        for odd in ["", "ssh-ed25519", "ssh-ed25519 AAAA", "ssh-ed25519 !!!", "ssh-rsa AAAAC3NzaC1lZDI1NTE5"] {
            assert!(odd.parse::<SshKey>().is_err(), "{odd}");
        }
    }

    #[test]
    fn locked_key_signs_after_its_passphrase() {
        let folder = tempfile::tempdir().unwrap();
        let text = fs::read_to_string(keygen(folder.path(), &["-t", "ed25519"], "open sesame")).unwrap();
        assert!(matches!(Signer::parse(&text), Err(Error::PassphraseMissing)));
        let wrong = Signer::unlock(&text, || Some(Secret::new("closed".into())));
        assert!(matches!(wrong, Err(Error::PassphraseWrong)));
        let signer = Signer::unlock(&text, || Some(Secret::new("open sesame".into()))).unwrap();
        signer.key().verify(LOGIN, b"m", &signer.sign(LOGIN, b"m").unwrap()).unwrap();
    }
}
