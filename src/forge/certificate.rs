//! The certificate that the public meets at this server's own address, looked at from outside while there is time to renew it.
//!
//! Guards: doubt blocks nothing: a server that cannot reach itself by its public name, as behind some routers, is not called broken.

use std::error::Error as StdError;

use jiff::Timestamp;
use reqwest::tls::TlsInfo;
use x509_cert::Certificate as Parsed;
use x509_cert::der::Decode as _;

use super::Forge;
use crate::domain::surroundings::Certificate;

impl Forge {
    /// Looks at the certificate behind an address; none where there is none to look at, or nobody was reached.
    pub async fn certificate(&self, address: &str) -> Option<Certificate> {
        if !address.starts_with("https://") {
            return None;
        }
        match self.http.head(address).send().await {
            Ok(answer) => {
                let seen = answer.extensions().get::<TlsInfo>().and_then(TlsInfo::peer_certificate);
                seen.and_then(until).map(Certificate::Until)
            }
            Err(error) => {
                let mut cause: Option<&dyn StdError> = Some(&error);
                while let Some(each) = cause {
                    // The words of rustls for every certificate it does not take; its type is not ours to name.
                    if each.to_string().contains("invalid peer certificate") {
                        return Some(Certificate::Refused);
                    }
                    cause = each.source();
                }
                None
            }
        }
    }
}

/// Reads until when a certificate is good (RFC 5280, section 4.1.2.5).
fn until(der: &[u8]) -> Option<Timestamp> {
    let seconds = Parsed::from_der(der).ok()?.tbs_certificate.validity.not_after.to_unix_duration().as_secs();
    Timestamp::from_second(i64::try_from(seconds).ok()?).ok()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "the other side of the wire is no part of the program")]

    use std::process::{Command, Stdio};

    use tokio::io::AsyncReadExt as _;

    use super::super::Options;
    use super::*;

    /// A certificate that nobody vouches for, good for ten days, with its key.
    fn made(folder: &std::path::Path) {
        let status = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "10"])
            .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"])
            .args(["-keyout", "key.pem", "-out", "cert.pem"])
            .current_dir(folder)
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
    }

    #[tokio::test]
    async fn a_certificate_nobody_vouches_for_is_refused_and_silence_says_nothing() {
        let folder = tempfile::tempdir().unwrap();
        made(folder.path());
        let mut server = tokio::process::Command::new("openssl")
            .args(["s_server", "-accept", "127.0.0.1:0", "-cert", "cert.pem", "-key", "key.pem", "-www"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut said = String::new();
        let mut out = server.stdout.take().unwrap();
        let port = loop {
            let mut some = [0; 200];
            let read = out.read(&mut some).await.unwrap();
            assert!(read > 0, "it listens before it ends: {said}");
            said.push_str(&String::from_utf8_lossy(&some[..read]));
            let line = said.lines().find_map(|line| line.strip_prefix("ACCEPT 127.0.0.1:"));
            if let Some(port) = line.filter(|_| said.ends_with('\n')) {
                break port.to_owned();
            }
        };
        let forge = Forge::open(&Options { timeout_seconds: 5 }).unwrap();
        let address = format!("https://127.0.0.1:{port}/");
        assert_eq!(forge.certificate(&address).await, Some(Certificate::Refused));
        drop(server);
        assert_eq!(forge.certificate("https://127.0.0.1:1/").await, None);
        assert_eq!(forge.certificate(&address.replace("https", "http")).await, None);
    }

    #[test]
    fn the_end_of_a_certificate_is_read() {
        let folder = tempfile::tempdir().unwrap();
        made(folder.path());
        let der = Command::new("openssl")
            .args(["x509", "-in", "cert.pem", "-outform", "DER"])
            .current_dir(folder.path())
            .output()
            .unwrap();
        let end = Command::new("openssl")
            .args(["x509", "-in", "cert.pem", "-noout", "-enddate", "-dateopt", "iso_8601"])
            .current_dir(folder.path())
            .output()
            .unwrap();
        let said = String::from_utf8(end.stdout).unwrap();
        let said = said.trim().trim_start_matches("notAfter=").replace(' ', "T");
        assert_eq!(until(&der.stdout), Some(said.parse().unwrap()));
        assert_eq!(until(b"no certificate"), None);
    }
}
