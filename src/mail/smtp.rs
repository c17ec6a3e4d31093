//! One mail over SMTP (RFC 5321): connect, encrypt, sign in, hand over (`docs/wire/services.md` §4.1 `smtp.*`).
//!
//! A connection per mail. What a stranger on the network could send before the server has proved who it is, is bounded;
//! the time is bounded by the caller.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{Arc, LazyLock},
    task::{Context, Poll},
    time::Duration,
};

use lettre::transport::smtp::{
    Error,
    authentication::{Credentials, Mechanism},
    client::{AsyncSmtpConnection, AsyncTokioStream, CertificateStore, TlsParameters},
    commands,
    extension::{ClientId, Extension, MailBodyParameter, MailParameter},
};
use parking_lot::Mutex;
use regex::Regex;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, lookup_host},
    time::timeout,
};

use super::{Undelivered, message::Letter};
use crate::settings::Smtp;

/// One of several addresses of the server may take this long to accept a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// After the mail was taken or refused, the goodbye may take this long. Nobody waits for it.
const GOODBYE: Duration = Duration::from_secs(5);
/// All that a server may say in one conversation, in bytes: a few dozen short lines, and its certificates.
const MAX_HEARD: usize = 64 * 1024;
/// And in line ends, of which encrypted bytes have one in 256: reading an answer costs its lines squared.
const MAX_LINES: usize = 1000;

/// How certificates are checked, remembered for the server that was talked to last: reading the machine's roots takes
/// a while. Cheap to clone.
#[derive(Clone, Default)]
pub struct Trust(Arc<Mutex<Option<(String, TlsParameters)>>>);

impl Trust {
    /// Against the machine's roots, or Mozilla's where there are none (a bare container).
    async fn of(&self, host: &str) -> Result<TlsParameters, Undelivered> {
        if let Some((known, trust)) = &*self.0.lock()
            && known == host
        {
            return Ok(trust.clone());
        }
        let domain = host.to_owned();
        let made = tokio::task::spawn_blocking(move || {
            let platform = rustls_native_certs::load_native_certs();
            let store = match platform.certs.is_empty() {
                true => CertificateStore::WebpkiRoots,
                false => CertificateStore::Default,
            };
            TlsParameters::builder(domain).certificate_store(store).build()
        });
        let trust = match made.await {
            Ok(Ok(trust)) => trust,
            Ok(Err(error)) => return Err(Undelivered::for_now(error.to_string())),
            Err(panic) => return Err(Undelivered::for_now(panic.to_string())),
        };
        *self.0.lock() = Some((host.to_owned(), trust.clone()));
        Ok(trust)
    }
}

/// Hands `letter` to the server of the settings. A refusal of this mail is final, whatever stands in the way of the
/// conversation itself is not: somebody will correct the settings or the server.
pub async fn deliver(smtp: &Smtp, trust: &Trust, letter: &Letter) -> Result<(), Undelivered> {
    let mut connection = connect(smtp, trust).await?;
    let mut at_recipient = false;
    let taken = hand_over(&mut connection, letter, &mut at_recipient).await;
    tokio::spawn(async move {
        let _ = timeout(GOODBYE, connection.abort()).await;
    });
    taken.map_err(|refusal| refusal.into_undelivered(at_recipient))
}

/// Why a letter was not taken.
enum Refusal {
    Told(Error),
    /// The server cannot do what this letter needs.
    Unable(&'static str),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Told(error)
    }
}

impl Refusal {
    fn into_undelivered(self, at_recipient: bool) -> Undelivered {
        match self {
            Self::Unable(what) => Undelivered::for_good(what),
            Self::Told(error) if error.is_permanent() => {
                let (what, code) = (error.to_string(), error.status().map_or(0, u16::from));
                let dead_address = refuses_address(code, &what, at_recipient);
                Undelivered { dead_address, ..Undelivered::for_good(what) }
            }
            Self::Told(error) if error.is_client() => Undelivered::for_good(error.to_string()),
            Self::Told(error) => Undelivered::for_now(error.to_string()),
        }
    }
}

/// Whether a permanent refusal is about the address of the recipient. The enhanced code tells (RFC 3463: mailbox or
/// domain that does not exist, mailbox switched off); without one, the usual codes in answer to that address do. What a
/// server says of the letter or of us is no word about anybody's address.
fn refuses_address(code: u16, what: &str, at_recipient: bool) -> bool {
    match ENHANCED.captures(what).map(|found| (found[1].to_owned(), found[2].to_owned())) {
        Some((subject, detail)) => {
            matches!((subject.as_str(), detail.as_str()), ("1", "0" | "1" | "2" | "3" | "6" | "10") | ("2", "1"))
        }
        None => at_recipient && matches!(code, 550 | 551 | 553),
    }
}

static ENHANCED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?:^|[\s:])5\.(\d{1,3})\.(\d{1,3})(?:\s|$)").expect("the pattern is a constant"));

/// The envelope and the letter, one command after the other: which of them is refused makes a difference.
async fn hand_over(
    connection: &mut AsyncSmtpConnection,
    letter: &Letter,
    at_recipient: &mut bool,
) -> Result<(), Refusal> {
    let mut parameters = Vec::new();
    let is_foreign = |address: &lettre::Address| !AsRef::<str>::as_ref(address).is_ascii();
    if letter.envelope.to().iter().chain(letter.envelope.from()).any(is_foreign) {
        if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
            return Err(Refusal::Unable("the mail server knows no addresses beyond ASCII (SMTPUTF8)"));
        }
        parameters.push(MailParameter::SmtpUtfEight);
    }
    if !letter.bytes.is_ascii() {
        if !connection.server_info().supports_feature(Extension::EightBitMime) {
            return Err(Refusal::Unable("the mail server takes no mails beyond ASCII (8BITMIME)"));
        }
        parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
    }
    connection.command(commands::Mail::new(letter.envelope.from().cloned(), parameters)).await?;
    *at_recipient = true;
    for address in letter.envelope.to() {
        connection.command(commands::Rcpt::new(address.clone(), Vec::new())).await?;
    }
    *at_recipient = false;
    connection.command(commands::Data).await?;
    connection.message(&letter.bytes).await?;
    Ok(())
}

/// A conversation that is encrypted and signed in as far as the settings and the server will have it.
async fn connect(smtp: &Smtp, trust: &Trust) -> Result<AsyncSmtpConnection, Undelivered> {
    let failed = |error: Error| Undelivered::for_now(error.to_string());
    let port = u16::try_from(smtp.port).map_err(|_| Undelivered::for_now("the mail server's port is none"))?;
    let hello = hello(&smtp.local_name);
    let (mut connection, is_local) = match smtp.tls {
        true => {
            // Lettre makes this stream itself: whoever speaks on it has proved its name by a certificate before.
            let (server, trust) = ((smtp.host.as_str(), port), trust.of(&smtp.host).await?);
            let made = AsyncSmtpConnection::connect_tokio1(server, Some(CONNECT), &hello, Some(trust), None);
            (made.await.map_err(failed)?, false)
        }
        false => {
            let (stream, peer) = dial(&smtp.host, port).await?;
            let stream = Box::new(Listening { stream, left: MAX_HEARD, lines: MAX_LINES });
            let made = AsyncSmtpConnection::connect_with_transport(stream, &hello);
            (made.await.map_err(failed)?, peer.ip().is_loopback())
        }
    };
    if connection.can_starttls() {
        connection.starttls(trust.of(&smtp.host).await?, &hello).await.map_err(failed)?;
    }
    if !smtp.username.is_empty() || !smtp.password.is_empty() {
        // Opportunistic encryption is off for whoever can cut a line out of the conversation: a password is not shown
        // to them.
        if !connection.is_encrypted() && !is_local {
            let what = "the mail server offers no encryption, so the password was not sent to it";
            return Err(Undelivered::for_now(what));
        }
        let mechanism = if smtp.auth_method == "LOGIN" { Mechanism::Login } else { Mechanism::Plain };
        let credentials = Credentials::new(smtp.username.clone(), smtp.password.clone());
        connection.auth(&[mechanism], &credentials).await.map_err(failed)?;
    }
    Ok(connection)
}

/// The name that this client gives itself.
fn hello(local_name: &str) -> ClientId {
    match local_name.parse() {
        Ok(IpAddr::V4(ip)) => ClientId::Ipv4(ip),
        Ok(IpAddr::V6(ip)) => ClientId::Ipv6(ip),
        Err(_) if local_name.is_empty() => ClientId::Domain("localhost".to_owned()),
        Err(_) => ClientId::Domain(local_name.to_owned()),
    }
}

/// A connection to the first address of the host that takes one.
async fn dial(host: &str, port: u16) -> Result<(TcpStream, SocketAddr), Undelivered> {
    let unreachable = |why: io::Error| Undelivered::for_now(format!("cannot connect to {host}:{port}: {why}"));
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in lookup_host((host, port)).await.map_err(unreachable)? {
        match timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok((stream, address)),
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(unreachable(last))
}

/// A stream that ends when it has said too much, and hands them out one by one.
///
/// Lettre reads lines through a buffer that outlives the switch to TLS. Were it to hold more than the line that was asked
/// for, whoever can write into the open half of the conversation could put answers there that are then taken for
/// encrypted ones (the "response injection" of <https://nostarttls.secvuln.info>). A server says little, so this costs
/// nothing that matters.
#[derive(Debug)]
struct Listening {
    stream: TcpStream,
    /// How many bytes and line ends may still come.
    left: usize,
    lines: usize,
}

impl AsyncTokioStream for Listening {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream.peer_addr()
    }
}

impl AsyncRead for Listening {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.left == 0 || self.lines == 0 {
            return Poll::Ready(Err(io::Error::other("the mail server says too much")));
        }
        let mut byte = [0];
        let mut byte = ReadBuf::new(&mut byte);
        let polled = Pin::new(&mut self.stream).poll_read(cx, &mut byte);
        buf.put_slice(byte.filled());
        self.left -= byte.filled().len();
        self.lines -= usize::from(byte.filled() == b"\n");
        polled
    }
}

impl AsyncWrite for Listening {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
        net::TcpListener,
    };

    use super::*;
    use crate::{
        clock::Timestamp,
        mail::{Message, message},
        settings::Settings,
    };

    /// Sends a mail to a server that greets with `greeting` and answers each line by the first prefix in `script` that
    /// fits it, else with 250. `~` repeats the rest of an answer for ever.
    async fn against(
        greeting: &'static str,
        script: &'static [(&'static str, &'static str)],
    ) -> Result<(), Undelivered> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = actix_web::rt::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let (read, mut write) = stream.into_split();
            let mut lines = BufReader::new(read).lines();
            let mut answer = greeting;
            loop {
                match answer.strip_prefix('~') {
                    Some(endless) => while write.write_all(endless.repeat(4096).as_bytes()).await.is_ok() {},
                    None if answer.is_empty() => return,
                    None => write.write_all(answer.as_bytes()).await.unwrap_or_default(),
                }
                let Ok(Some(mut line)) = lines.next_line().await else { return };
                while line.contains(": ") && !line.starts_with("MAIL") {
                    // Inside the mail: up to the lone dot.
                    while line != "." {
                        let Ok(Some(next)) = lines.next_line().await else { return };
                        line = next;
                    }
                }
                answer = script.iter().find(|(prefix, _)| line.starts_with(prefix)).map_or("250 ok\r\n", |(_, it)| it);
            }
        });
        let settings = Settings::fresh();
        let message = Message::new("ann@example.com", "s", "<p>x</p>");
        let letter = message::letter(&message, &settings.meta, Timestamp(0)).unwrap();
        let (host, username) = ("127.0.0.1".to_owned(), if script.iter().any(|it| it.0 == "AUTH") { "u" } else { "" });
        let smtp = Smtp { enabled: true, port: port.into(), host, username: username.to_owned(), ..Smtp::default() };
        let sent = timeout(Duration::from_secs(20), deliver(&smtp, &Trust::default(), &letter)).await;
        server.abort();
        sent.expect("an answer within the time")
    }

    const HELLO: &str = "220 hi\r\n";
    const DATA: (&str, &str) = ("DATA", "354 go\r\n");

    #[actix_web::test]
    async fn a_refusal_of_the_mail_is_final_and_nothing_else_is() {
        type Script = &'static [(&'static str, &'static str)];
        const CASES: &[(&str, Script, Option<bool>)] = &[
            (HELLO, &[DATA], None),
            (HELLO, &[("RCPT", "550 no\r\n")], Some(true)),
            (HELLO, &[("MAIL", "501 no\r\n")], Some(true)),
            (HELLO, &[("DATA", "554 no\r\n")], Some(true)),
            (HELLO, &[DATA, (".", "552 too big\r\n")], Some(true)),
            (HELLO, &[("RCPT", "451 later\r\n")], Some(false)),
            (HELLO, &[("MAIL", "452 full\r\n")], Some(false)),
            (HELLO, &[DATA, (".", "421 bye\r\n")], Some(false)),
            (HELLO, &[("EHLO", "250-x\r\n250 AUTH PLAIN\r\n"), ("AUTH", "535 wrong\r\n")], Some(false)),
            (HELLO, &[("EHLO", "500 what\r\n")], Some(false)),
            (HELLO, &[("RCPT", "")], Some(false)),
            ("554 go away\r\n", &[], Some(false)),
            ("421 busy\r\n", &[], Some(false)),
            ("SSH-2.0-x\r\n", &[], Some(false)),
            ("\u{0}é\r\n", &[], Some(false)),
            ("", &[], Some(false)),
        ];
        for &(greeting, script, permanent) in CASES {
            let outcome = against(greeting, script).await;
            let found = outcome.as_ref().err().map(|cause| cause.permanent);
            assert_eq!(found, permanent, "{greeting:?} {script:?}: {outcome:?}");
        }
    }

    #[test]
    fn an_address_is_dead_when_the_server_says_so() {
        for (code, what, at_recipient, dead) in [
            (550, "permanent error (550): no such user", true, true),
            (550, "permanent error (550): looks like spam", false, false),
            (552, "permanent error (552): mailbox full", true, false),
            (554, "permanent error (554): no", true, false),
            (550, "permanent error (550): 5.1.1 unknown", true, true),
            (550, "permanent error (550): 5.1.1 unknown", false, true),
            (550, "permanent error (550): 5.2.1 disabled", true, true),
            (550, "permanent error (550): 5.7.1 your address is listed at 5.1.1.1", true, false),
            (553, "permanent error (553): 5.1.8 bad sender", true, false),
            (550, "permanent error (550): 5.1.10 null MX", true, true),
        ] {
            assert_eq!(refuses_address(code, what, at_recipient), dead, "{what}");
        }
    }

    #[actix_web::test]
    async fn a_server_that_talks_for_ever_is_left() {
        for greeting in ["~x", "~220-hi\r\n", "~\r\n"] {
            assert!(!against(greeting, &[]).await.unwrap_err().permanent, "{greeting}");
        }
    }

    #[actix_web::test]
    async fn what_is_said_before_tls_is_never_taken_for_what_is_said_within() {
        // With the injected lines in its buffer, a client waits here for a handshake that never comes.
        const SCRIPT: &[(&str, &str)] =
            &[("EHLO", "250-x\r\n250 STARTTLS\r\n"), ("STARTTLS", "220 go\r\n250 you are in\r\n250 ok\r\n")];
        let told = against(HELLO, SCRIPT).await.unwrap_err().what;
        assert!(told.contains("InvalidContentType") || told.contains("corrupt"), "{told}");
    }
}
