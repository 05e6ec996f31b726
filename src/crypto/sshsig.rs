//! Signatures in OpenSSH's SSHSIG format: for sign-ins and for git tags.
//!
//! Guards: a signature counts only for its namespace, so that what signs someone in can never be a tag, nor the reverse.
//! Leaves to [`super::sshkey`] which keys are good enough, and to `workflow` how old a challenge may be.

use std::fmt;

use jiff::Timestamp;
use rsa::signature::{SignatureEncoding, Signer as _};
use sha2::Sha512;
use ssh_key::private::{KeypairData, RsaKeypair};
use ssh_key::{Algorithm, HashAlg, LineEnding, Mpint, PrivateKey, SshSig};

use super::Error;
use super::sshkey::SshKey;
use crate::domain::refusal::Malformed;
use crate::domain::sealed::Secret;

/// The namespace of sign-ins.
pub const LOGIN: &str = "embargo-login";
/// The namespace git gives its tags and commits.
pub const GIT: &str = "git";
/// The namespace of files (ssh-keygen(1), `-Y sign`).
pub const FILE: &str = "file";

/// No signature of an accepted key is longer.
const LONGEST_SIGNATURE: usize = 16 * 1024;
/// The set flag says that a person touched the token (FIDO CTAP2, authenticator data).
const USER_PRESENT: u8 = 1;

impl SshKey {
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
        self.public().verify(namespace, message, &signature).map_err(|_| Error::SignatureWrong)?;
        let trailer = signature.signature_bytes().len().checked_sub(5);
        let flags = trailer.and_then(|start| signature.signature_bytes().get(start));
        if self.is_hardware() && flags.is_none_or(|flags| flags & USER_PRESENT == 0) {
            return Err(Error::SignatureWrong);
        }
        Ok(())
    }
}

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
    pub fn unlock(text: &str, ask: impl FnOnce() -> Option<Secret>) -> Result<Self, Error> {
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
        let signature = match self.private.key_data() {
            KeypairData::Rsa(pair) => sign_rsa(pair, namespace, message),
            _ => self.private.sign(namespace, HashAlg::Sha512, message),
        };
        let signature = signature.map_err(Error::Signing)?;
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

/// Signs with RSA (PKCS #1 v1.5, SHA-512), which ssh-key 0.6.7 cannot: it takes one prime twice.
fn sign_rsa(pair: &RsaKeypair, namespace: &str, message: &[u8]) -> ssh_key::Result<SshSig> {
    let number = |number: &Mpint| rsa::BigUint::try_from(number);
    let primes = vec![number(&pair.private.p)?, number(&pair.private.q)?];
    let (n, e, d) = (number(&pair.public.n)?, number(&pair.public.e)?, number(&pair.private.d)?);
    let private = rsa::RsaPrivateKey::from_components(n, e, d, primes)?;
    let signed = SshSig::signed_data(namespace, HashAlg::Sha512, message)?;
    let signature = rsa::pkcs1v15::SigningKey::<Sha512>::new(private).try_sign(&signed)?;
    let algorithm = Algorithm::Rsa { hash: Some(HashAlg::Sha512) };
    let signature = ssh_key::Signature::new(algorithm, signature.to_vec())?;
    SshSig::new(pair.public.clone().into(), namespace, HashAlg::Sha512, signature)
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

    use sha2::{Digest as _, Sha256};
    use ssh_key::PublicKey;
    use ssh_key::public::KeyData;

    use super::super::token;
    use super::*;

    const AT: &str = "2030-01-02T03:04:05Z";

    fn signer() -> Signer {
        let key = PrivateKey::new(KeypairData::Ed25519(token::ed25519()), "").unwrap();
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
    fn hardware_key_counts_only_when_touched() {
        let pair = token::ed25519();
        let hardware = ssh_key::public::SkEd25519::new(pair.public, "ssh:");
        let public = SshKey::accept(&PublicKey::new(KeyData::SkEd25519(hardware.clone()), "")).unwrap();
        assert!(public.is_hardware());
        let answer = |flags: u8| {
            let trailer = [flags, 0, 0, 0, 9];
            let signed = SshSig::signed_data(LOGIN, HashAlg::Sha512, b"message").unwrap();
            let asserted = [&Sha256::digest("ssh:")[..], &trailer, &Sha256::digest(signed)].concat();
            let signature: ssh_key::Signature = pair.try_sign(&asserted).unwrap();
            let data = [signature.as_bytes(), &trailer].concat();
            let signature = ssh_key::Signature::new(Algorithm::SkEd25519, data).unwrap();
            let key = KeyData::SkEd25519(hardware.clone());
            SshSig::new(key, LOGIN, HashAlg::Sha512, signature).unwrap().to_pem(LineEnding::LF).unwrap()
        };
        public.verify(LOGIN, b"message", &answer(1)).unwrap();
        public.verify(LOGIN, b"message", &answer(5)).unwrap();
        assert!(matches!(public.verify(LOGIN, b"message", &answer(0)), Err(Error::SignatureWrong)));
        assert!(public.verify(LOGIN, b"massage", &answer(1)).is_err());
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
