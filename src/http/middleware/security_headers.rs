//! Headers that keep a browser from misreading an answer (`docs/wire/services.md` §2.2).

use actix_web::{
    HttpResponse,
    http::header::{
        CROSS_ORIGIN_OPENER_POLICY, HeaderValue, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS, X_XSS_PROTECTION,
    },
};

pub fn set(response: &mut HttpResponse) {
    let headers = response.headers_mut();
    headers.insert(X_XSS_PROTECTION, HeaderValue::from_static("1; mode=block"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN"));
    headers.insert(CROSS_ORIGIN_OPENER_POLICY, HeaderValue::from_static("same-origin"));
}

/// Lets pages of other origins show the answer in a frame.
pub fn allow_embedding(response: &mut HttpResponse) {
    response.headers_mut().remove(X_FRAME_OPTIONS);
}
