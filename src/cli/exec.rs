//! `conch exec -- CMD`: a temporary server for as long as a command runs.
//!
//! The server is a process of its own, with its own process group: what a terminal sends to the command does not end the
//! server under it. It ends with the command, also when this process is killed (`temporary.rs`). The command stays in the
//! terminal's foreground, and whatever it leaves running is ended after it.

use std::{
    ffi::OsString,
    io::{BufRead, BufReader},
    os::unix::process::{CommandExt, ExitStatusExt},
    path::PathBuf,
    process::{Child, Command, ExitCode, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use clap::{Args, Parser};
use serde::Deserialize;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Cli, Command as Subcommand, serve::Serve};

/// What the shell answers for a command that cannot be run, and for one that there is not.
const NOT_EXECUTABLE: u8 = 126;
const NOT_FOUND: u8 = 127;
/// When it is the server that fails.
const NO_SERVER: u8 = 125;
/// A server has this long to be ready; a large fixture takes its time.
const START: Duration = Duration::from_secs(120);
/// After its signal to end, the server (and what the command has left running) has this long.
const END: Duration = Duration::from_secs(10);
/// What the command left running has this long to end by itself.
const LEFTOVERS: Duration = Duration::from_secs(2);

/// `conch exec`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  conch exec -- npm test
  conch exec --seed tests/fixtures.json -- npx playwright test
  conch exec -- sh -c 'curl -H \"Authorization: $CONCH_TOKEN\" $CONCH_URL/api/collections'

The command finds in its environment: CONCH_URL, CONCH_TOKEN (of a superuser), CONCH_EMAIL and CONCH_PASSWORD (to sign in
as one) and CONCH_DIR (the data, gone afterwards). The server is that of `conch serve --temp` and takes the same options;
its log has warnings only, unless --dev or RUST_LOG ask for more.

Signals are passed on to the command. The exit code is the command's, or 128 and the number of the signal that ended it;
125 if there is no server, 126 if the command cannot be executed, 127 if there is no such command.")]
pub struct Exec {
    #[command(flatten)]
    serve: Serve,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// What a temporary server says when it is ready.
#[derive(Debug, Deserialize)]
struct Ready {
    url: String,
    token: String,
    dir: PathBuf,
    email: String,
    password: String,
}

impl Exec {
    /// Runs the command beside a server; the exit code of this process.
    pub fn run(self) -> ExitCode {
        adopt_orphans();
        let done = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let done = done.map_err(anyhow::Error::new).and_then(|runtime| runtime.block_on(self.beside_a_server()));
        match done {
            Ok(code) => ExitCode::from(code),
            Err(error) => {
                eprintln!("conch: {error:#}");
                ExitCode::from(NO_SERVER)
            }
        }
    }

    async fn beside_a_server(self) -> anyhow::Result<u8> {
        let mut signals = Signals::listen()?;
        let arguments = server_arguments(std::env::args_os().skip(1).collect()).context("the options are unclear")?;
        let (mut server, ready) = Server::start(arguments)?;
        let ready = tokio::select! {
            ready = ready.wait(&mut server) => ready?,
            number = signals.next() => return Ok(ended_by(number)),
        };
        let code = run_command(&self.command, &ready, &mut signals, &mut server).await;
        end_descendants(Some(server.child.id()), LEFTOVERS);
        Ok(code)
    }
}

/// Runs the command to its end.
async fn run_command(command: &[OsString], ready: &Ready, signals: &mut Signals, server: &mut Server) -> u8 {
    let (program, arguments) = command.split_first().expect("clap requires one");
    let mut command = tokio::process::Command::new(program);
    command
        .args(arguments)
        .env("CONCH_URL", &ready.url)
        .env("CONCH_TOKEN", &ready.token)
        .env("CONCH_EMAIL", &ready.email)
        .env("CONCH_PASSWORD", &ready.password)
        .env("CONCH_DIR", &ready.dir)
        // They are the server's.
        .env_remove("CONCH_TEMP")
        .env_remove("CONCH_SEED")
        .env_remove("CONCH_HTTP");
    end_with_parent(command.as_std_mut());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            eprintln!("conch: cannot run {}: {error}", program.to_string_lossy());
            return if error.kind() == std::io::ErrorKind::NotFound { NOT_FOUND } else { NOT_EXECUTABLE };
        }
    };
    let mut look = tokio::time::interval(Duration::from_millis(250));
    let mut told = false;
    loop {
        tokio::select! {
            status = child.wait() => match status {
                Ok(status) => return code_of(status),
                Err(error) => {
                    eprintln!("conch: cannot tell how {} ended: {error}", program.to_string_lossy());
                    return NO_SERVER;
                }
            },
            number = signals.next() => {
                if let Some(id) = child.id().filter(|_| !is_told_by_terminal(number)) {
                    send(id, number);
                }
            }
            _ = look.tick(), if !told => {
                if let Ok(Some(status)) = server.child.try_wait() {
                    eprintln!("conch: the server has ended under the command ({status})");
                    told = true;
                }
            }
        }
    }
}

/// As a shell tells it.
fn code_of(status: ExitStatus) -> u8 {
    match (status.code(), status.signal()) {
        (Some(code), _) => u8::try_from(code & 0xff).unwrap_or(u8::MAX),
        (None, Some(number)) => ended_by(number),
        (None, None) => u8::MAX,
    }
}

fn ended_by(signal: i32) -> u8 {
    u8::try_from(128 + signal).unwrap_or(u8::MAX)
}

/// The server's process.
struct Server {
    child: Child,
}

/// Where its line is to come.
struct Line(mpsc::Receiver<std::io::Result<String>>);

impl Server {
    fn start(arguments: Vec<OsString>) -> anyhow::Result<(Self, Line)> {
        let program = std::env::current_exe().context("cannot tell where this program is")?;
        let mut command = Command::new(program);
        // What the command says should not drown in it.
        let is_chosen = arguments.iter().any(|it| it == "--dev") || std::env::var_os("CONCH_DEV").is_some();
        if !is_chosen && std::env::var_os("RUST_LOG").is_none() {
            command.env("RUST_LOG", "warn,actix_http=off");
        }
        let mut child = command
            .args(arguments)
            .env("CONCH_TEMP", "true")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .context("cannot start the server")?;
        let stdout = child.stdout.take().expect("it is piped");
        let (send, receive) = mpsc::channel();
        // Read to its end, so that the server never waits for us.
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                // Only the first one is waited for.
                let _ = send.send(line);
            }
        });
        Ok((Self { child }, Line(receive)))
    }
}

impl Drop for Server {
    /// It cleans up after itself, within a time.
    fn drop(&mut self) {
        // Its number may be somebody else's by now.
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        send(self.child.id(), libc::SIGTERM);
        let asked = Instant::now();
        while asked.elapsed() < END {
            match self.child.try_wait() {
                Ok(None) => thread::sleep(Duration::from_millis(5)),
                Ok(Some(_)) | Err(_) => return,
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Line {
    async fn wait(self, server: &mut Server) -> anyhow::Result<Ready> {
        let started = Instant::now();
        loop {
            match self.0.try_recv() {
                Ok(line) => {
                    let line = line.context("the server's first line cannot be read")?;
                    return serde_json::from_str(&line).context("the server's first line makes no sense");
                }
                // It has said on stderr why.
                Err(mpsc::TryRecvError::Disconnected) => {
                    let status = server.child.wait().context("the server cannot be waited for")?;
                    bail!("the server did not start ({status})");
                }
                Err(mpsc::TryRecvError::Empty) if started.elapsed() >= START => {
                    bail!("the server was not ready within {} seconds", START.as_secs());
                }
                Err(mpsc::TryRecvError::Empty) => tokio::time::sleep(Duration::from_millis(2)).await,
            }
        }
    }
}

/// The arguments of this process as those of `conch serve`: up to `--`, with the name of the subcommand replaced. Where
/// an option's value happens to be `exec`, the one that makes sense is meant.
fn server_arguments(arguments: Vec<OsString>) -> Option<Vec<OsString>> {
    let end = arguments.iter().position(|argument| argument == "--").unwrap_or(arguments.len());
    let own = &arguments[..end];
    (0..own.len()).filter(|&index| own[index] == "exec").find_map(|index| {
        let mut candidate = own.to_vec();
        candidate[index] = "serve".into();
        let parsed = Cli::try_parse_from(std::iter::once(OsString::from("conch")).chain(candidate.iter().cloned()));
        matches!(parsed.ok()?.command, Subcommand::Serve(_)).then_some(candidate)
    })
}

/// The signals that are passed on.
struct Signals(Vec<(i32, Signal)>);

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        let kinds = [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
            SignalKind::quit(),
            SignalKind::user_defined1(),
            SignalKind::user_defined2(),
            SignalKind::window_change(),
        ];
        let listened = kinds.map(|kind| Ok((kind.as_raw_value(), signal(kind)?)));
        Ok(Self(listened.into_iter().collect::<std::io::Result<_>>().context("cannot listen for signals")?))
    }

    /// The number of the next one.
    async fn next(&mut self) -> i32 {
        let waits = self.0.iter_mut().map(|(number, signal)| {
            Box::pin(async move {
                signal.recv().await;
                *number
            })
        });
        futures_util::future::select_all(waits).await.0
    }
}

/// A terminal tells its whole foreground, the command included: twice would be once too often, as many programs take a
/// second Ctrl-C for impatience.
fn is_told_by_terminal(signal: i32) -> bool {
    if !matches!(signal, libc::SIGINT | libc::SIGQUIT | libc::SIGWINCH) {
        return false;
    }
    // SAFETY: neither call has preconditions; without a terminal the first one answers -1.
    unsafe { libc::tcgetpgrp(libc::STDIN_FILENO) == libc::getpgrp() }
}

fn send(process: u32, signal: i32) {
    if let Ok(process) = libc::pid_t::try_from(process) {
        // SAFETY: kill has no preconditions. The process is a child that has not been waited for, so its number is its.
        unsafe { libc::kill(process, signal) };
    }
}

/// Ends the command when this process is killed, where the system can do so.
fn end_with_parent(command: &mut Command) {
    #[cfg(target_os = "linux")]
    // SAFETY: prctl may be called between fork and exec.
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
            Ok(())
        });
    }
    #[cfg(not(target_os = "linux"))]
    let _ = command;
}

/// What the command leaves running becomes a child of this process, where the system can do so.
fn adopt_orphans() {
    #[cfg(target_os = "linux")]
    // SAFETY: prctl only sets a flag of this process.
    unsafe {
        libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1);
    }
}

/// Ends what is left of the command: everything below this process but `spared`. First it is asked, then it is killed.
fn end_descendants(spared: Option<u32>, patience: Duration) {
    let begun = Instant::now();
    let mut asked = false;
    loop {
        let left = descendants(std::process::id(), spared);
        if left.is_empty() {
            return;
        }
        let over = begun.elapsed() >= patience;
        for id in left {
            if over {
                send(id, libc::SIGKILL);
            } else if !asked {
                send(id, libc::SIGTERM);
            }
            // Those that are ours now would stay as zombies, and be found again.
            if let Ok(id) = libc::pid_t::try_from(id) {
                // SAFETY: asks about one process without waiting; the status is not wanted.
                unsafe { libc::waitpid(id, std::ptr::null_mut(), libc::WNOHANG) };
            }
        }
        asked = true;
        if begun.elapsed() >= patience * 2 {
            return;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// All processes below this one, but for one and what is below it, as the kernel lists them; none where it does not.
fn descendants(process: u32, spared: Option<u32>) -> Vec<u32> {
    let mut found = Vec::new();
    let mut look = vec![process];
    while let Some(process) = look.pop() {
        let tasks = std::fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
        for task in tasks {
            let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
            let children = children.split_ascii_whitespace().filter_map(|id| id.parse::<u32>().ok());
            for child in children {
                if Some(child) != spared && !found.contains(&child) {
                    found.push(child);
                    look.push(child);
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_arguments_are_those_before_the_command() {
        for (given, expected) in [
            ("exec -- npm test", Some("serve")),
            ("exec --http 127.0.0.1:0 -- exec --dev", Some("serve --http 127.0.0.1:0")),
            ("--dir exec exec --dev -- x", Some("--dir exec serve --dev")),
            ("--dir exec exec -- x", Some("--dir exec serve")),
            ("exec --nonsense -- x", None),
        ] {
            let arguments = given.split(' ').map(OsString::from).collect();
            let found = server_arguments(arguments).map(|found| found.join(" ".as_ref()));
            assert_eq!(found, expected.map(OsString::from), "{given}");
        }
    }

    #[test]
    fn codes_are_those_of_a_shell() {
        for (status, expected) in [(0, 0), (7 << 8, 7), (255 << 8, 255), (libc::SIGTERM, 143), (libc::SIGKILL, 137)] {
            assert_eq!(code_of(ExitStatus::from_raw(status)), expected, "{status}");
        }
    }

    #[test]
    fn what_runs_below_is_found_and_ended() {
        let mut child = Command::new("sh").args(["-c", "sleep 60 & wait"]).spawn().unwrap();
        let begun = Instant::now();
        while descendants(child.id(), None).is_empty() && begun.elapsed() < Duration::from_secs(10) {
            thread::sleep(Duration::from_millis(5));
        }
        let below = descendants(child.id(), None);
        assert!(!below.is_empty() && descendants(std::process::id(), None).contains(&below[0]));
        for id in below.into_iter().chain([child.id()]) {
            send(id, libc::SIGKILL);
        }
        child.wait().unwrap();
    }
}
