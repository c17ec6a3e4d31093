//! Signing in and staying so (`docs/wire/auth.md` §3): one file per group of routes.

mod impersonate;
mod login;
mod mails;
mod methods;
mod oauth2;
mod otp;
mod password;
mod refresh;

pub use self::{
    impersonate::impersonate,
    mails::{
        confirm_email_change, confirm_password_reset, confirm_verification, request_email_change,
        request_password_reset, request_verification,
    },
    methods::methods,
    oauth2::{redirected, with_oauth2},
    otp::{request_otp, with_otp},
    password::with_password,
    refresh::refresh,
};
