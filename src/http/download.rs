//! Ciphertext on its way out, under a name that says nothing: an attachment, or a copy for a member of an audience.

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::store::report::Attachment;
use crate::workflow::wave::copy::Handed;

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

/// Answers with the copy of a member of an audience.
pub(super) fn copy(handed: Handed) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/age".to_owned()),
        (header::CONTENT_LENGTH, handed.size.to_string()),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"release.tar.age\"".to_owned()),
    ];
    let body = Body::from_stream(tokio_util::io::ReaderStream::with_capacity(handed.file, 64 * 1024));
    (headers, body).into_response()
}
