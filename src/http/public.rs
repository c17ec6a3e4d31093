//! The static folder: whatever GET or HEAD no route answers (`docs/wire/services.md` §3.1). An app with routes of its own
//! gets its `index.html` for every address that is no file.
//!
//! Paths are taken apart before they reach the disk, and what they lead to has to lie within the folder, links
//! followed: a link out of it does not exist. Neither does what is no ordinary file, which might never end.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use actix_web::http::StatusCode;

use super::{
    download::{self, types},
    extract::{Call, path},
    reply::Reply,
};
use crate::{
    error::{Error, Kind, Result},
    files::{self, Object},
};

const INDEX: &str = "index.html";
/// What the system says of a path that leads nowhere, or nowhere where we may look.
const MISSING: [i32; 7] =
    [libc::ENOENT, libc::EACCES, libc::EPERM, libc::ENOTDIR, libc::ENAMETOOLONG, libc::ELOOP, libc::EINVAL];

/// Where the files are; cheap to clone.
#[derive(Debug, Clone)]
pub struct Public {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Need not exist; none serves nothing.
    root: Option<PathBuf>,
    /// Whether the root's index stands for what is missing.
    fallback: bool,
}

/// What a path leads to.
#[derive(Debug)]
enum Found {
    File(Object),
    /// To a path that is written differently.
    Elsewhere(String),
    Nothing,
}

impl Public {
    pub fn new(root: Option<PathBuf>, fallback: bool) -> Self {
        Self { inner: Arc::new(Inner { root, fallback }) }
    }

    /// Answers a GET or HEAD that has no route of its own.
    pub async fn answer(&self, call: &Call) -> Result<Reply> {
        if self.inner.root.is_none() {
            return Err(Error::not_found());
        }
        let asked = match path::decode(call.http.uri().path()) {
            Ok(asked) => Some(asked.into_owned()),
            Err(error) if error.kind == Kind::Invalid => return Err(error),
            // Not UTF-8: no file that we serve is called so.
            Err(_) => None,
        };
        let inner = Arc::clone(&self.inner);
        let found =
            tokio::task::spawn_blocking(move || inner.find(asked.as_deref())).await.map_err(Error::internal)??;
        let mut reply = match found {
            Found::File(object) => download::plain(&call.http, &object)?,
            Found::Elsewhere(location) => Reply::moved(StatusCode::MOVED_PERMANENTLY, &location),
            Found::Nothing => return Err(Error::not_found()),
        };
        reply.unlogged = true;
        Ok(reply)
    }
}

impl Inner {
    /// Looks for the decoded path. Blocks.
    fn find(&self, asked: Option<&str>) -> Result<Found> {
        let Some(root) = &self.root else { return Ok(Found::Nothing) };
        let Some(root) = present(fs::canonicalize(root))? else { return Ok(Found::Nothing) };
        let found = match asked.and_then(|asked| Some((asked, names(asked)?))) {
            Some((asked, names)) => look(&root, asked, &names)?,
            None => Found::Nothing,
        };
        match found {
            Found::Nothing if self.fallback => Ok(open(&root, &root.join(INDEX))?.map_or(Found::Nothing, Found::File)),
            found => Ok(found),
        }
    }
}

/// The names on the way of a path, `.` and `..` carried out; none if it leaves the folder or cannot be a path.
fn names(asked: &str) -> Option<Vec<&str>> {
    let mut names = Vec::new();
    for name in asked.split('/') {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()?),
            name if name.contains('\0') => return None,
            name => names.push(name),
        }
    }
    Some(names)
}

fn look(root: &Path, asked: &str, names: &[&str]) -> Result<Found> {
    let path = names.iter().fold(root.to_owned(), |path, name| path.join(name));
    let Some(real) = within(root, &path)? else { return Ok(Found::Nothing) };
    let is_folder = real.is_dir();
    let slash = asked.ends_with('/');
    let elsewhere = |names: &[&str], slash: &str| Ok(Found::Elsewhere(format!("{}{slash}", encoded(names))));
    match (is_folder, slash, names) {
        (true, false, names) if !names.is_empty() => elsewhere(names, "/"),
        (true, ..) => Ok(open(root, &path.join(INDEX))?.map_or(Found::Nothing, Found::File)),
        (false, true, names) => elsewhere(names, ""),
        (false, false, [above @ .., INDEX]) => elsewhere(above, "/"),
        (false, false, _) => Ok(open(root, &path)?.map_or(Found::Nothing, Found::File)),
    }
}

/// The path with all links followed, if there is something and it lies within `root`.
fn within(root: &Path, path: &Path) -> Result<Option<PathBuf>> {
    Ok(present(fs::canonicalize(path))?.filter(|real| real.starts_with(root)))
}

/// The ordinary file at `path`.
fn open(root: &Path, path: &Path) -> Result<Option<Object>> {
    let Some(real) = within(root, path)? else { return Ok(None) };
    // Opening a pipe would wait for somebody to write into it.
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW).open(real);
    let Some(file) = present(opened)? else { return Ok(None) };
    if !file.metadata()?.is_file() {
        return Ok(None);
    }
    // The type is that of the name in the address, wherever a link leads.
    let content_type = match types::of_name(path) {
        Some(known) => known,
        None => sniffed(&file)?,
    };
    Ok(Some(Object::of_file(file, content_type)?))
}

fn sniffed(file: &File) -> Result<String> {
    let mut head = Vec::new();
    file.take(files::HEAD).read_to_end(&mut head)?;
    Ok(files::sniffed(&head))
}

fn present<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Err(error) if error.raw_os_error().is_some_and(|code| MISSING.contains(&code)) => Ok(None),
        found => found.map(Some),
    }
}

/// A path of these names, which begins with one slash: two would lead to another host.
fn encoded(names: &[&str]) -> String {
    let mut path = String::new();
    for name in names {
        path.push('/');
        for &byte in name.as_bytes() {
            match byte {
                b'a'..=b'z'
                | b'A'..=b'Z'
                | b'0'..=b'9'
                | b'-'
                | b'.'
                | b'_'
                | b'~'
                | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b';'
                | b'='
                | b':'
                | b'@' => path.push(char::from(byte)),
                byte => path.push_str(&format!("%{byte:02X}")),
            }
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::db::testing::TempDir;

    /// A folder `public` beside a secret.
    fn place() -> TempDir {
        let place = TempDir::new();
        let root = place.path().join("public");
        fs::create_dir_all(root.join("sub/empty")).unwrap();
        fs::create_dir_all(place.path().join("outside")).unwrap();
        for (path, content) in [
            ("public/index.html", "root"),
            ("public/sub/index.html", "sub"),
            ("public/a.css", "css"),
            ("public/.dot", "dot"),
            ("public/ü x.txt", "u"),
            ("outside/index.html", "secret"),
            ("public2", "neighbour"),
        ] {
            fs::write(place.path().join(path), content).unwrap();
        }
        symlink("../outside/index.html", root.join("link")).unwrap();
        symlink("../outside", root.join("dirlink")).unwrap();
        symlink("a.css", root.join("good.css")).unwrap();
        fs::write(root.join("plain"), "txt").unwrap();
        symlink("plain", root.join("good")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        symlink("../public2", root.join("near")).unwrap();
        place
    }

    fn told(found: Found) -> String {
        match found {
            Found::File(object) => format!("{} {}", object.head.size, object.head.content_type),
            Found::Elsewhere(location) => format!("to {location}"),
            Found::Nothing => "nothing".to_owned(),
        }
    }

    #[test]
    fn paths_lead_where_the_wire_says_and_never_out() {
        let place = place();
        let strict = Inner { root: Some(place.path().join("public")), fallback: false };
        let spa = Inner { root: strict.root.clone(), fallback: true };
        const HTML: &str = "text/html; charset=utf-8";
        let (root, sub) = (format!("4 {HTML}"), format!("3 {HTML}"));
        for (asked, expected) in [
            ("/", root.as_str()),
            ("", root.as_str()),
            ("/a.css", "3 text/css; charset=utf-8"),
            ("/.dot", "3 text/plain; charset=utf-8"),
            ("/ü x.txt", "1 text/plain; charset=utf-8"),
            ("/good", "3 text/plain; charset=utf-8"),
            ("/good.css", "3 text/css; charset=utf-8"),
            ("/sub", "to /sub/"),
            ("/sub/", &sub),
            ("/sub/index.html", "to /sub/"),
            ("/index.html", "to /"),
            ("/index.html/", "to /index.html"),
            ("/a.css/", "to /a.css"),
            ("/ü x.txt/", "to /%C3%BC%20x.txt"),
            ("//sub", "to /sub/"),
            ("/sub/../a.css", "3 text/css; charset=utf-8"),
            ("/sub/empty", "to /sub/empty/"),
        ] {
            for house in [&strict, &spa] {
                assert_eq!(told(house.find(Some(asked)).unwrap()), expected, "{asked}");
            }
        }
        for asked in [
            "/sub/empty/",
            "/nope",
            "/nope/x",
            "/a.css/x",
            "/link",
            "/dirlink",
            "/dirlink/",
            "/dirlink/index.html",
            "/loop",
            "/near",
            "/../outside/index.html",
            "/sub/../../outside/index.html",
            "/a.css\0",
            "/..",
            "/\\..\\outside",
            &"/x".repeat(5000),
            &"x".repeat(5000),
        ] {
            assert_eq!(told(strict.find(Some(asked)).unwrap()), "nothing", "{asked}");
            assert_eq!(told(spa.find(Some(asked)).unwrap()), root, "{asked}");
        }
        assert_eq!(told(spa.find(None).unwrap()), root);
    }

    #[test]
    fn without_an_index_or_a_folder_there_is_nothing() {
        let place = place();
        fs::remove_file(place.path().join("public/index.html")).unwrap();
        for root in [Some(place.path().join("public")), Some(place.path().join("nope")), None] {
            let house = Inner { root, fallback: true };
            for asked in ["/", "/nope"] {
                assert_eq!(told(house.find(Some(asked)).unwrap()), "nothing");
            }
        }
    }

    #[test]
    fn a_pipe_is_not_waited_for() {
        let place = place();
        let path = std::ffi::CString::new(place.path().join("public/pipe").to_str().unwrap()).unwrap();
        // SAFETY: the path is a string that ends with a zero, and lives until the call returns.
        assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
        let house = Inner { root: Some(place.path().join("public")), fallback: false };
        assert_eq!(told(house.find(Some("/pipe")).unwrap()), "nothing");
    }

    #[test]
    fn a_root_that_is_a_link_may_be_switched() {
        let place = place();
        let current = place.path().join("current");
        symlink("public", &current).unwrap();
        let house = Inner { root: Some(current.clone()), fallback: false };
        assert!(told(house.find(Some("/")).unwrap()).starts_with("4 "));
        fs::remove_file(&current).unwrap();
        symlink("outside", &current).unwrap();
        assert!(told(house.find(Some("/")).unwrap()).starts_with("6 "));
    }
}
