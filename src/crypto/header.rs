//! A capped, linear look at the head of an uploaded age file: is it one, and can people open it?
//!
//! Guards: a hostile header costs at most 64 KiB of work, and neither plaintext nor a passphrase-encrypted file is taken for
//! an attachment. The age parser itself takes time in the square of the header's length, so no upload meets it on the server.
//! Follows the age v1 format (C2SP `age.md`): magic line, recipient stanzas, MAC line; then a nonce of 16 bytes and chunks of
//! 64 KiB with a tag of 16 bytes each. Whether header and payload are authentic, only a holder of a key can tell.

use crate::domain::refusal::Refusal;

/// The longest header that is taken.
pub const LONGEST: usize = 64 * 1024;
/// The most recipient stanzas that are taken.
pub const MOST_STANZAS: usize = 64;

const MAGIC: &[u8] = b"age-encryption.org/v1";
const ARMOR: &[u8] = b"-----BEGIN AGE ENCRYPTED FILE-----";
const NONCE: u64 = 16;
const TAG: u64 = 16;
const CHUNK: u64 = 64 * 1024 + TAG;

/// Why an upload is no acceptable age file; displays one sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The file does not start like an age file.
    #[error(
        "The file is not encrypted with age: encrypt it with `age -R` and the recipients shown, or send it through the form."
    )]
    NotAge,
    /// The text form of an age file.
    #[error("The file is armored: encrypt it again without `--armor`.")]
    Armored,
    /// A header that breaks the grammar.
    #[error("The header of the age file is damaged.")]
    Malformed,
    /// A header beyond [`LONGEST`].
    #[error("The header of the age file is longer than 64 KiB.")]
    TooLong,
    /// More stanzas than [`MOST_STANZAS`].
    #[error("The age file has more than 64 recipients.")]
    TooMany,
    /// A file that a passphrase opens.
    #[error("The file is encrypted with a passphrase: encrypt it to the recipients shown instead.")]
    Passphrase,
    /// No stanza of a kind that members' keys open.
    #[error("No recipient of the age file is an age, ssh-ed25519 or ssh-rsa key: encrypt it to the recipients shown.")]
    NoKnownRecipient,
    /// The file ends too early.
    #[error("The age file is cut off.")]
    CutOff,
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        Self::input(refused.to_string())
    }
}

/// How far the scanner is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The header is not complete yet.
    Header,
    /// The header is complete and acceptable; what follows is payload.
    Payload,
}

/// What the scanner found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scanned {
    /// Bytes of the header, up to and with the MAC line.
    pub header: u64,
    /// Bytes of the whole file.
    pub total: u64,
    /// Stanzas of kinds that members' keys open.
    pub known: usize,
    /// All stanzas.
    pub stanzas: usize,
}

/// Reads an age file as it arrives and keeps nothing of it but the current header line.
#[derive(Debug)]
pub struct Scanner {
    state: State,
    line: Vec<u8>,
    header: usize,
    payload: u64,
    known: usize,
    stanzas: usize,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Magic,
    Next,
    Body { expects: Expects, length: usize },
    Payload,
    Failed(Refused),
}

/// The length of body that a stanza's kind asks for, in characters of base 64.
#[derive(Clone, Copy, Debug)]
enum Expects {
    /// A wrapped file key of 32 bytes.
    FileKey,
    /// An RSA ciphertext of 2048 to 4096 bits, or more.
    Rsa,
    /// Anything: a kind that is not known here.
    Any,
}

impl Default for Scanner {
    fn default() -> Self {
        Self::new()
    }
}

impl Scanner {
    /// Starts before the first byte.
    pub const fn new() -> Self {
        Self { state: State::Magic, line: Vec::new(), header: 0, payload: 0, known: 0, stanzas: 0 }
    }

    /// Takes the next piece of the file. Once it has refused, it refuses whatever follows.
    pub fn push(&mut self, mut piece: &[u8]) -> Result<Progress, Refused> {
        loop {
            match self.state {
                State::Failed(refused) => return Err(refused),
                State::Payload => {
                    self.payload += piece.len() as u64;
                    return Ok(Progress::Payload);
                }
                State::Magic | State::Next | State::Body { .. } => {}
            }
            if piece.is_empty() {
                return Ok(Progress::Header);
            }
            let room = LONGEST - self.header;
            let window = &piece[..piece.len().min(room)];
            let end = window.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(window.len(), |end| end + 1);
            self.line.extend_from_slice(&window[..end.unwrap_or(taken)]);
            self.header += taken;
            piece = &piece[taken..];
            let next = if end.is_some() { self.line_end() } else { self.line_part(room == taken) };
            match next {
                Ok(state) => self.state = state,
                Err(refused) => self.state = State::Failed(refused),
            }
            if end.is_some() {
                self.line.clear();
            }
        }
    }

    /// Ends the file; refuses one that stops inside the header or where no complete payload can stop.
    pub fn finish(self) -> Result<Scanned, Refused> {
        match self.state {
            State::Failed(refused) => return Err(refused),
            State::Magic => return Err(Refused::NotAge),
            State::Next | State::Body { .. } => return Err(Refused::CutOff),
            State::Payload => {}
        }
        let chunks = self.payload.checked_sub(NONCE).ok_or(Refused::CutOff)?;
        let last = chunks % CHUNK;
        let complete = match last {
            0 => chunks > 0,
            TAG => chunks == TAG,
            _ => last > TAG,
        };
        if !complete {
            return Err(Refused::CutOff);
        }
        let header = self.header as u64;
        Ok(Scanned { header, total: header + self.payload, known: self.known, stanzas: self.stanzas })
    }

    /// Returns how many header bytes were looked at; never more than [`LONGEST`].
    pub fn examined(&self) -> usize {
        self.header
    }

    /// Judges a line of which the end has not arrived.
    fn line_part(&self, full: bool) -> Result<State, Refused> {
        if matches!(self.state, State::Magic) && !MAGIC.starts_with(&self.line) {
            return Err(if ARMOR.starts_with(&self.line) && !full { return Ok(self.state) } else { self.not_magic() });
        }
        if full { Err(Refused::TooLong) } else { Ok(self.state) }
    }

    fn line_end(&mut self) -> Result<State, Refused> {
        match self.state {
            State::Magic if self.line == MAGIC => Ok(State::Next),
            State::Magic => Err(self.not_magic()),
            State::Next => self.stanza_or_mac(),
            State::Body { expects, length } => self.body(expects, length),
            State::Payload | State::Failed(_) => Ok(self.state),
        }
    }

    fn not_magic(&self) -> Refused {
        if self.line.starts_with(ARMOR) { Refused::Armored } else { Refused::NotAge }
    }

    fn stanza_or_mac(&mut self) -> Result<State, Refused> {
        if let Some(mac) = self.line.strip_prefix(b"--- ") {
            if mac.len() != 43 || !canonical(mac) || self.stanzas == 0 {
                return Err(Refused::Malformed);
            }
            return if self.known == 0 { Err(Refused::NoKnownRecipient) } else { Ok(State::Payload) };
        }
        let words = self.line.strip_prefix(b"-> ").ok_or(Refused::Malformed)?;
        self.stanzas += 1;
        if self.stanzas > MOST_STANZAS {
            return Err(Refused::TooMany);
        }
        let mut words = words.split(|byte| *byte == b' ');
        let kind = words.next().filter(|kind| visible(kind)).ok_or(Refused::Malformed)?;
        let mut lengths = [0; 3];
        let mut count = 0;
        for word in words {
            if !visible(word) {
                return Err(Refused::Malformed);
            }
            if let Some(length) = lengths.get_mut(count) {
                *length = if canonical(word) { word.len() } else { 0 };
            }
            count += 1;
        }
        let expects = match (kind, &lengths[..count.min(3)]) {
            (b"scrypt", _) => return Err(Refused::Passphrase),
            (b"X25519", [43]) | (b"ssh-ed25519", [6, 43]) => Expects::FileKey,
            (b"ssh-rsa", [6]) => Expects::Rsa,
            (b"X25519" | b"ssh-ed25519" | b"ssh-rsa", _) => return Err(Refused::Malformed),
            _ => Expects::Any,
        };
        Ok(State::Body { expects, length: 0 })
    }

    fn body(&mut self, expects: Expects, before: usize) -> Result<State, Refused> {
        let length = before + self.line.len();
        let full = self.line.len() == 64;
        if self.line.len() > 64 || !canonical(&self.line) {
            return Err(Refused::Malformed);
        }
        if full {
            return Ok(State::Body { expects, length });
        }
        let fits = match expects {
            Expects::FileKey => length == 43,
            Expects::Rsa => (342..=683).contains(&length),
            Expects::Any => true,
        };
        if !fits {
            return Err(Refused::Malformed);
        }
        self.known += usize::from(!matches!(expects, Expects::Any));
        Ok(State::Next)
    }
}

/// One or more characters of ASCII 33 to 126: an "arbitrary string" of the format.
fn visible(word: &[u8]) -> bool {
    !word.is_empty() && word.iter().all(u8::is_ascii_graphic)
}

/// Base 64 without padding (RFC 4648, section 4), without leftover bits at its end.
fn canonical(text: &[u8]) -> bool {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    if !text.iter().all(|byte| value(*byte).is_some()) {
        return false;
    }
    let last = text.last().and_then(|byte| value(*byte)).unwrap_or(0);
    match text.len() % 4 {
        0 => true,
        2 => last.is_multiple_of(16),
        3 => last.is_multiple_of(4),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    fn header(stanzas: &str) -> Vec<u8> {
        format!("age-encryption.org/v1\n{stanzas}--- {KEY}\n").into_bytes()
    }

    fn scan(bytes: &[u8]) -> Result<Scanned, Refused> {
        let mut scanner = Scanner::new();
        scanner.push(bytes)?;
        scanner.finish()
    }

    fn with_payload(stanzas: &str) -> Vec<u8> {
        [header(stanzas), vec![0; 33]].concat()
    }

    fn x25519() -> String {
        format!("-> X25519 {KEY}\n{KEY}\n")
    }

    #[test]
    fn file_for_known_keys_passes_in_pieces_of_any_size() {
        let rsa = format!("-> ssh-rsa AAAAAA\n{}{}\n", format!("{}\n", "A".repeat(64)).repeat(8), "A".repeat(0));
        let stanzas = x25519() + &format!("-> ssh-ed25519 AAAAAA {KEY}\n{KEY}\n") + &rsa + "-> odd-grease x y z w\n\n";
        let file = with_payload(&stanzas);
        let expected =
            Scanned { header: header(&stanzas).len() as u64, total: file.len() as u64, known: 3, stanzas: 4 };
        for size in [1, 2, 7, 64, 1000] {
            let mut scanner = Scanner::new();
            for piece in file.chunks(size) {
                scanner.push(piece).unwrap();
            }
            assert_eq!(scanner.finish(), Ok(expected), "pieces of {size}");
        }
    }

    #[test]
    fn plaintext_is_refused_at_its_first_bytes() {
        let mut scanner = Scanner::new();
        assert_eq!(scanner.push(b"%PDF-1.7 and a long file"), Err(Refused::NotAge));
        assert_eq!(scanner.push(&with_payload(&x25519())), Err(Refused::NotAge), "a refusal stays");
        for odd in ["", "a", "age-encryption.org/v1", "age-encryption.org/v2\n", "age-encryption.org/v1\r\n", "\n"] {
            assert_eq!(scan(odd.as_bytes()), Err(Refused::NotAge), "{odd:?}");
        }
        assert_eq!(scan(b"-----BEGIN AGE ENCRYPTED FILE-----\nYWdl"), Err(Refused::Armored));
    }

    #[test]
    fn passphrase_file_is_refused() {
        let stanza = format!("-> scrypt AAAAAAAAAAAAAAAAAAAAAA 18\n{KEY}\n");
        assert_eq!(scan(&with_payload(&stanza)), Err(Refused::Passphrase));
        assert_eq!(scan(&with_payload(&(x25519() + &stanza))), Err(Refused::Passphrase));
    }

    #[test]
    fn file_that_no_member_could_open_is_refused() {
        assert_eq!(scan(&with_payload("-> grease x\nAAAA\n")), Err(Refused::NoKnownRecipient));
        assert_eq!(scan(&with_payload("-> mlkem768x25519 AAAA\nAAAA\n")), Err(Refused::NoKnownRecipient));
        assert_eq!(scan(&with_payload("")), Err(Refused::Malformed));
    }

    #[test]
    fn broken_grammar_is_refused() {
        let long = "A".repeat(65);
        for stanza in [
            "X25519\n",
            "->\n",
            "-> \n\n",
            "->  X25519\n\n",
            "-> X25519 \n\n",
            "-> X\u{7f}\n\n",
            "-> grease\nA\n",
            "-> grease\nAB\n",
            "-> grease\nAA==\n",
            "-> grease\n A\n",
            "-> X25519\n\n",
            "-> X25519 AAAA\n\n",
            &format!("-> X25519 {KEY}\nAAAA\n"),
            &format!("-> grease\n{long}\n"),
            &format!("-> X25519 {KEY} AAAA\n{KEY}\n"),
            "-> ssh-rsa AAAAAA\nAAAA\n",
            "\n",
            &format!("-> X25519 {KEY}\r\n{KEY}\r\n"),
        ] {
            assert_eq!(scan(&with_payload(&(x25519() + stanza))), Err(Refused::Malformed), "{stanza:?}");
        }
        let mac = String::from_utf8(with_payload(&x25519())).unwrap();
        for (good, bad) in [("--- A", "--- AA"), ("--- A", "---A"), ("--- A", "--- "), ("A\n\0", "B\n\0")] {
            assert_eq!(scan(mac.replace(good, bad).as_bytes()), Err(Refused::Malformed), "{bad:?}");
        }
    }

    #[test]
    fn hostile_header_costs_no_more_than_the_cap() {
        let many = with_payload(&x25519().repeat(10_000));
        let long_line = format!("age-encryption.org/v1\n-> {}\n", "x ".repeat(750_000));
        let long_body = with_payload(&format!("-> grease\n{}\n", format!("{}\n", "A".repeat(64)).repeat(24_000)));
        let endless = vec![b'A'; 1_500_000];
        let no_end = [b"age-encryption.org/v1\n".as_slice(), &endless].concat();
        for (file, expected) in [
            (many, Refused::TooMany),
            (long_line.into_bytes(), Refused::TooLong),
            (long_body, Refused::TooLong),
            (no_end, Refused::TooLong),
        ] {
            for size in [1, 4096, file.len()] {
                let mut scanner = Scanner::new();
                let mut held = 0;
                let refused = file.chunks(size).find_map(|piece| {
                    let result = scanner.push(piece).err();
                    held = held.max(scanner.line.capacity());
                    result
                });
                assert_eq!(refused, Some(expected));
                assert!(scanner.examined() <= LONGEST, "looked at {} bytes", scanner.examined());
                assert!(held <= 2 * LONGEST, "held {held} bytes");
            }
        }
    }

    #[test]
    fn cut_off_file_is_refused_where_it_shows() {
        let file = with_payload(&x25519());
        for length in 22..file.len() - 1 {
            assert_eq!(scan(&file[..length]), Err(Refused::CutOff), "cut at {length}");
        }
        let head = header(&x25519());
        let payload = |length: usize| scan(&[head.clone(), vec![0; length]].concat()).is_ok();
        let chunk = 64 * 1024 + 16;
        for good in [32, 33, 16 + chunk, 16 + chunk + 17, 16 + 2 * chunk] {
            assert!(payload(good), "{good}");
        }
        for bad in [0, 15, 16, 17, 31, 16 + chunk + 1, 16 + chunk + 16] {
            assert!(!payload(bad), "{bad}");
        }
    }
}
