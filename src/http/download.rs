//! An attachment on its way out: ciphertext, under a name that says nothing.

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::store::report::Attachment;

/// Answers with the ciphertext of an attachment.
pub(super) fn ciphertext(attachment: &Attachment, file: tokio::fs::File) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/age".to_owned()),
        (header::CONTENT_LENGTH, attachment.size.to_string()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{}.age\"", attachment.id)),
    ];
    let body = Body::from_stream(tokio_util::io::ReaderStream::with_capacity(file, 64 * 1024));
    (headers, body).into_response()
}
