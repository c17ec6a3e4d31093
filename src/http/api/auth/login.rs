//! What all logins read from a request, and how they are answered (`docs/wire/auth.md` §3.1, §3.8).

use actix_web::http::{StatusCode, header::USER_AGENT};
use serde_json::json;

use crate::{
    auth::{Login, SignedIn, Visitor},
    error::Result,
    http::{
        extract::{
            Call,
            body::{self, Form},
        },
        reply::Reply,
    },
    rules::Context,
};

/// Reads the login of `call`, body included.
pub(super) async fn read(call: &mut Call) -> Result<Login> {
    let params = call.query()?;
    let received = body::read(call, body::LOGIN_LIMIT, Form::Texts).await?;
    let mut request = call.rule_request(Context::Default, &params);
    request.body = received.body.values;
    let mfa_id = params.get("mfaId").unwrap_or_default().to_owned();
    Ok(Login { request, shape: params.shape(), visitor: visitor(call), mfa_id })
}

fn visitor(call: &Call) -> Visitor {
    let user_agent = call.http.headers().get(USER_AGENT).map(|value| value.as_bytes().to_vec()).unwrap_or_default();
    Visitor { address: call.client_ip(), user_agent }
}

/// Where a second factor is needed, the answer is a 401 that is no error: it has none of an error's keys.
pub(super) fn answer(outcome: SignedIn) -> Reply {
    match outcome {
        SignedIn::Answer(body) => Reply::json(body),
        SignedIn::SecondFactor { mfa_id } => {
            Reply::with(StatusCode::UNAUTHORIZED, "application/json", json!({ "mfaId": mfa_id }).to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;

    use super::*;

    #[tokio::test]
    async fn a_first_factor_is_answered_without_the_keys_of_an_error() {
        for (outcome, status, body) in [
            (SignedIn::SecondFactor { mfa_id: "l2o4fmrnxf84iiu".into() }, 401, r#"{"mfaId":"l2o4fmrnxf84iiu"}"#),
            (SignedIn::Answer(b"{}".to_vec()), 200, "{}"),
        ] {
            let response = answer(outcome).into_response();
            assert_eq!(response.status().as_u16(), status);
            assert_eq!(to_bytes(response.into_body()).await.unwrap(), body);
        }
    }
}
