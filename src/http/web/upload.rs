//! Files in forms: each part streams through `workflow::report::attach` as it arrives, never whole in memory.
//!
//! Guards: a part that is cut off never becomes a stored file, and only what says it is age-encrypted is stored as it
//! comes: the scanner behind `attach` refuses pretenders. Leaves who sends to the handlers.

use std::io;

use axum::body::Bytes;
use futures_util::stream;
use tokio::sync::mpsc;

use super::parts::{Part, Parts};
use crate::app::App;
use crate::domain::actor::Actor;
use crate::domain::id::CaseId;
use crate::domain::refusal::{Malformed, Refusal, RefusalKind};
use crate::domain::text::Label;
use crate::http::caller::{MakesForms, PATIENCE, foreign_form};
use crate::http::problem::PageError;
use crate::workflow::{Error, report};

/// No text field is longer.
const LONGEST_TEXT: usize = 64 * 1024;
/// No form has more parts.
const MOST_PARTS: usize = 40;
/// Chunks between the connection and the disk.
const IN_FLIGHT: usize = 4;

/// A file that was not taken, and why.
pub(crate) type Lost = (String, Refusal);

/// Stores the files of a form whose first part is the token of its session.
pub(crate) async fn receive(
    app: &App,
    by: &impl MakesForms,
    to: (&Actor, &CaseId),
    mut form: Parts,
) -> Result<(), PageError> {
    let first = next(&mut form).await?.filter(|field| field.name() == Some("form_token"));
    let token = text(first.ok_or_else(foreign_form)?).await?;
    if !by.made(&token) {
        return Err(foreign_form());
    }
    let mut lost = Vec::new();
    for _ in 0..MOST_PARTS {
        let Some(field) = next(&mut form).await? else { break };
        lost.extend(store(app, to.0, to.1, field).await?);
    }
    if lost.is_empty() {
        return Ok(());
    }
    if let Some((_, often)) = lost.iter().find(|(_, why)| matches!(why.kind(), RefusalKind::Often(_))) {
        return Err(often.clone().into());
    }
    let sentences: Vec<String> = lost.into_iter().map(|(name, why)| format!("{name} was not taken: {why}")).collect();
    Err(Refusal::input(sentences.join(" ")).into())
}

/// Returns the next part of a form.
pub(crate) async fn next(form: &mut Parts) -> Result<Option<Part>, PageError> {
    let part = tokio::time::timeout(PATIENCE, form.next()).await.map_err(|_| late())?;
    Ok(part.map_err(|_| cut_off())?)
}

/// Reads what is left of a form and forgets it, for a while: a browser hears an answer only after it has sent everything.
pub(crate) async fn drain(form: &mut Parts) {
    let rest = async {
        while let Ok(Some(mut field)) = form.next().await {
            while let Ok(Some(_)) = field.chunk().await {}
        }
    };
    let _late = tokio::time::timeout(PATIENCE, rest).await;
}

/// Reads a part that is text.
pub(crate) async fn text(mut field: Part) -> Result<String, PageError> {
    let read = async {
        let mut bytes = Vec::new();
        while let Some(chunk) = field.chunk().await.map_err(|_| cut_off())? {
            if bytes.len() + chunk.len() > LONGEST_TEXT + 1024 {
                return Err(Refusal::input("A text is longer than 64 KiB: attach the long part as a file."));
            }
            bytes.extend_from_slice(&chunk);
        }
        String::from_utf8(bytes).map_err(|_| Refusal::input("The form is not UTF-8 text: send it again."))
    };
    Ok(tokio::time::timeout(PATIENCE, read).await.map_err(|_| late())??)
}

/// Stores a part that is a file. A file field in which nothing was chosen is passed over; a refused file is returned.
pub(crate) async fn store(app: &App, actor: &Actor, case: &CaseId, field: Part) -> Result<Option<Lost>, Error> {
    let Some(sent) = field.file_name().filter(|name| !name.is_empty()).map(str::to_owned) else { return Ok(None) };
    let name: Label = match last_part(&sent).parse() {
        Ok(name) => name,
        Err(malformed) => {
            return Ok(Some((last_part(&sent).to_owned(), Refusal::from(malformed as Malformed))));
        }
    };
    let kind = kind_of(name.as_str(), field.content_type());
    let (send, receive) = mpsc::channel::<io::Result<Bytes>>(IN_FLIGHT);
    let body = stream::unfold(receive, async |mut receive| receive.recv().await.map(|chunk| (chunk, receive)));
    let stored = report::attach(app, actor, case, name.clone(), report::upload(kind, body));
    let (stored, ()) = tokio::join!(stored, pump(field, send));
    match stored {
        Ok(_) => Ok(None),
        Err(Error::Refused(refusal)) => Ok(Some((name.to_string(), refusal))),
        Err(error) => Err(error),
    }
}

/// Hands the chunks over until the part ends, breaks, or nobody takes them any more.
async fn pump(mut field: Part, send: mpsc::Sender<io::Result<Bytes>>) {
    loop {
        let chunk = match field.chunk().await {
            Ok(Some(chunk)) => Ok(chunk),
            Ok(None) => return,
            // Without this the receiver would take what is there for the whole file.
            Err(error) => Err(io::Error::other(error)),
        };
        let broken = chunk.is_err();
        if send.send(chunk).await.is_err() || broken {
            return;
        }
    }
}

/// Returns the media type a file is taken as: the name speaks where the browser does not know the type.
fn kind_of<'a>(name: &str, media_type: Option<&'a str>) -> Option<&'a str> {
    let by_name = name.rsplit_once('.').is_some_and(|(_, end)| end.eq_ignore_ascii_case("age"));
    if by_name { Some("application/age") } else { media_type }
}

fn last_part(name: &str) -> &str {
    name.rsplit(['/', '\\']).next().unwrap_or(name)
}

fn cut_off() -> Refusal {
    Refusal::input("The form was cut off on its way: send it again.")
}

fn late() -> Refusal {
    Refusal::input("The form took too long to arrive: try again.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_ends_in_age_is_taken_as_ciphertext() {
        assert_eq!(kind_of("proof.zip.AGE", Some("application/octet-stream")), Some("application/age"));
        assert_eq!(kind_of("proof.zip", Some("application/zip")), Some("application/zip"));
        assert_eq!(kind_of("age", None), None);
    }

    #[test]
    fn a_path_in_a_file_name_is_dropped() {
        assert_eq!(last_part("C:\\fakepath\\poc.py"), "poc.py");
        assert_eq!(last_part("../../poc.py"), "poc.py");
    }
}
