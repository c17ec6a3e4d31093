//! Signing in and staying so (`docs/wire/auth.md` §3): one file per group of routes.

mod impersonate;
mod login;
mod mails;
mod methods;
<<<<<<< HEAD
mod otp;
=======
mod oauth2;
>>>>>>> c931182 (Sign in with accounts of other sites: code, tokens, user, record)
mod password;
mod refresh;

pub use self::{
    impersonate::impersonate,
    mails::{confirm_email_change, confirm_password_reset, confirm_verification},
    methods::methods,
<<<<<<< HEAD
    otp::{request_otp, with_otp},
=======
    oauth2::{redirected, with_oauth2},
>>>>>>> c931182 (Sign in with accounts of other sites: code, tokens, user, record)
    password::with_password,
    refresh::refresh,
};
