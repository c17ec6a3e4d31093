//! `conch systemd`: a unit for the service manager of most Linux systems, and what the server tells that manager.

pub mod notify;

use std::{fmt::Write, path::PathBuf};

use anyhow::{Context, bail};
use clap::Args;

use super::Place;

/// `conch systemd`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  conch systemd --dir /var/lib/conch app.example.com | sudo tee /etc/systemd/system/conch.service
  sudo systemctl daemon-reload && sudo systemctl enable --now conch

Secrets and all other options go into the environment file, one NAME=VALUE a line: see conch serve --help.
`systemctl reload conch` starts the server again as the same process, also as a newer executable.")]
pub struct Systemd {
    /// Domains to serve with certificates of their own; without them the server listens on --http
    #[arg(value_name = "DOMAIN")]
    domains: Vec<String>,
    /// The user to run as; without one systemd makes up a user that exists only while the server runs
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Address to listen on, for a server behind a proxy [default: 127.0.0.1:8090]
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "domains")]
    http: Option<String>,
    /// The executable [default: this one]
    #[arg(long, value_name = "FILE")]
    executable: Option<PathBuf>,
    /// Where secrets and other options are read from
    #[arg(long, value_name = "FILE", default_value = "/etc/conch/env")]
    environment: PathBuf,
}

impl Systemd {
    /// Prints the unit.
    pub fn run(self, place: Place) -> anyhow::Result<()> {
        let executable = match &self.executable {
            Some(executable) => executable.clone(),
            None => {
                std::env::current_exe().context("cannot tell where this executable is: name it with --executable")?
            }
        };
        let dir = std::path::absolute(&place.dir).context("cannot tell where the data directory is")?;
        print!("{}", self.unit(&text(&executable)?, &text(&dir)?, &text(&self.environment)?)?);
        Ok(())
    }

    fn unit(&self, executable: &str, dir: &str, environment: &str) -> anyhow::Result<String> {
        // The unit hides them from the server (ProtectHome).
        let hidden = |path: &&str| ["/home/", "/root/", "/run/user/"].iter().any(|home| path.starts_with(home));
        if let Some(path) = [executable, dir].iter().find(|path| hidden(path)) {
            bail!(
                "{path} is in one of the homes, which a service does not see: put the executable into /usr/local/bin \
                 (or name it with --executable), and the data elsewhere with --dir"
            );
        }
        let mut words = vec![executable.to_owned(), "serve".to_owned()];
        words.extend(self.domains.iter().cloned());
        if let Some(http) = &self.http {
            words.extend(["--http".to_owned(), http.clone()]);
        }
        words.extend(["--dir".to_owned(), dir.to_owned()]);
        let command = words.iter().map(|word| quoted(word)).collect::<anyhow::Result<Vec<_>>>()?.join(" ");

        let mut unit = String::from(
            "[Unit]\nDescription=Conch\nAfter=network-online.target\n\
             Wants=network-online.target\n# Gives up after ten failures in ten minutes.\nStartLimitIntervalSec=600\n\
             StartLimitBurst=10\n\n[Service]\nType=notify\nNotifyAccess=main\n",
        );
        write!(unit, "ExecStart={command}\nExecReload=/bin/kill -HUP $MAINPID\nEnvironmentFile=-{environment}\n")?;
        unit.push_str(
            "Restart=on-failure\nRestartSec=2\n# It says every twenty seconds that it lives.\nWatchdogSec=60\n\
             # A large directory may be migrated or recovered first.\nTimeoutStartSec=15min\nTimeoutStopSec=60\n\
             LimitNOFILE=1048576\n\n",
        );
        unit.push_str(&self.owner(dir)?);
        unit.push_str(HARDENING);
        if self.domains.is_empty() {
            unit.push_str("CapabilityBoundingSet=\n");
        } else {
            // Ports 80 and 443.
            unit.push_str("CapabilityBoundingSet=CAP_NET_BIND_SERVICE\nAmbientCapabilities=CAP_NET_BIND_SERVICE\n");
        }
        unit.push_str("\n[Install]\nWantedBy=multi-user.target\n");
        Ok(unit)
    }

    /// Who it runs as, and where it may write.
    fn owner(&self, dir: &str) -> anyhow::Result<String> {
        let state = dir.strip_prefix("/var/lib/").filter(|name| !name.is_empty() && !name.contains(".."));
        match (&self.user, state) {
            (Some(user), _) if user.is_empty() || user.contains(char::is_whitespace) => bail!("'{user}' is no user"),
            (Some(user), Some(state)) => Ok(format!("User={user}\nStateDirectory={state}\nStateDirectoryMode=0700\n")),
            (Some(user), None) => Ok(format!("User={user}\nReadWritePaths={}\n", quoted(dir)?)),
            (None, Some(state)) => Ok(format!("DynamicUser=yes\nStateDirectory={state}\nStateDirectoryMode=0700\n")),
            (None, None) => bail!(
                "a user that exists only while the server runs needs a directory under /var/lib: give one with --dir, or \
                 a user with --user"
            ),
        }
    }
}

/// What a server has no need for.
const HARDENING: &str = "\
UMask=0077
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
RemoveIPC=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
";

fn text(path: &std::path::Path) -> anyhow::Result<String> {
    let text = path.to_str().with_context(|| format!("{} has characters that a unit cannot have", path.display()))?;
    if text.contains(char::is_control) {
        bail!("{} has characters that a unit cannot have", path.display());
    }
    Ok(text.to_owned())
}

/// A word of a command line, as systemd reads it.
fn quoted(word: &str) -> anyhow::Result<String> {
    if word.contains(char::is_control) {
        bail!("a word of the command has characters that a unit cannot have");
    }
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-:@,+=[]*".contains(letter);
    // `%` begins a specifier, `$` a variable.
    let escaped = word.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%").replace('$', "$$");
    Ok(if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("\"{escaped}\"") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn systemd(domains: &[&str], user: Option<&str>) -> Systemd {
        Systemd {
            domains: domains.iter().map(ToString::to_string).collect(),
            user: user.map(str::to_owned),
            http: None,
            executable: None,
            environment: "/etc/conch/env".into(),
        }
    }

    #[test]
    fn a_unit_fits_where_the_data_lies() {
        let unit = |domains: &[&str], user, dir| systemd(domains, user).unit("/usr/bin/conch", dir, "/etc/conch/env");
        let plain = unit(&[], None, "/var/lib/conch").unwrap();
        for line in [
            "Type=notify",
            "ExecStart=/usr/bin/conch serve --dir /var/lib/conch",
            "DynamicUser=yes",
            "StateDirectory=conch",
            "CapabilityBoundingSet=",
            "WatchdogSec=60",
        ] {
            assert!(plain.lines().any(|have| have == line), "{line}\n{plain}");
        }
        let public = unit(&["a.example.com", "b.example.com"], Some("www"), "/srv/my data").unwrap();
        for line in [
            "ExecStart=/usr/bin/conch serve a.example.com b.example.com --dir \"/srv/my data\"",
            "User=www",
            "ReadWritePaths=\"/srv/my data\"",
            "AmbientCapabilities=CAP_NET_BIND_SERVICE",
        ] {
            assert!(public.lines().any(|have| have == line), "{line}\n{public}");
        }
        assert!(unit(&[], None, "/srv/conch").is_err());
        for (executable, dir) in
            [("/home/me/conch", "/srv/conch"), ("/usr/bin/conch", "/home/me/data"), ("/root/conch", "/srv/conch")]
        {
            let hidden = systemd(&[], Some("www")).unit(executable, dir, "/etc/conch/env").unwrap_err().to_string();
            assert!(hidden.contains("homes"), "{hidden}");
        }
        assert!(unit(&[], Some("a b"), "/srv/conch").is_err());
    }

    #[test]
    fn words_are_quoted_as_systemd_reads_them() {
        for (word, expected) in
            [("plain-1", "plain-1"), ("a b", "\"a b\""), ("50%$x\"\\", "\"50%%$$x\\\"\\\\\""), ("", "\"\"")]
        {
            assert_eq!(quoted(word).unwrap(), expected);
        }
        assert!(quoted("a\nb").is_err());
    }
}
