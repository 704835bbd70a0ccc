//! A file in a mail, beside its text. Pure.

use lettre::message::header::{ContentTransferEncoding, ContentType};
use lettre::message::{Attachment, Body, MultiPart, MultiPartBuilder, SinglePart};

use crate::message::File;

/// The beginning of a mail with a file: its parts are what it says, and then the file.
pub(super) fn mixed(boundary: &str) -> MultiPartBuilder {
    MultiPart::mixed().boundary(format!("{boundary}_file"))
}

/// The file. The mark at its beginning keeps spreadsheets from taking its letters for those of another alphabet.
pub(super) fn part(file: &File) -> SinglePart {
    let bytes = format!("\u{feff}{}", file.text).into_bytes();
    let body = match Body::new_with_encoding(bytes, ContentTransferEncoding::Base64) {
        Ok(body) => body,
        // Any bytes can be written so.
        Err(bytes) => Body::new(bytes),
    };
    let kind = ContentType::parse("text/csv; charset=utf-8").unwrap_or(ContentType::TEXT_PLAIN);
    Attachment::new(file.name.clone()).body(body, kind)
}
