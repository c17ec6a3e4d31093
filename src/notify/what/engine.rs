//! Compiling and rendering, in a sandbox.
//!
//! A template cannot include or import, knows no macros and no files, and an unknown name is blank. What it may cost is
//! bounded: [`FUEL`] instructions, [`MAX_DEPTH`] levels, [`MAX_OUTPUT`] bytes. Filters that make much of little and loops
//! that call themselves are not there; the language's own `~` and `*` are, so a text that is written to fill the memory can
//! still be large while it renders. Only superusers write templates.

use std::{
    cell::Cell,
    collections::{HashMap, VecDeque},
    hash::{BuildHasher, RandomState},
    io,
    sync::{Arc, LazyLock},
};

use minijinja::{
    AutoEscape, Environment, ErrorKind, Output, State, UndefinedBehavior, Value, escape_formatter, value::ValueKind,
};
use parking_lot::Mutex;

use super::{
    Broken, Texts, filters,
    scene::{Root, Scene},
};

/// Instructions that one text may take.
const FUEL: u64 = 100_000;
/// Loops and conditions inside each other.
const MAX_DEPTH: usize = 40;
/// Bytes that a text may become, and that it may print on the way.
const MAX_OUTPUT: usize = 256 << 10;
/// Bytes of a rendered title and a link; a longer title is cut.
const MAX_TITLE: usize = 1 << 10;
const MAX_LINK: usize = 4 << 10;
/// Bytes of a text as it was written.
const MAX_SOURCE: usize = 512 << 10;

/// A template, ready to be rendered from any thread.
pub struct Compiled {
    environment: Environment<'static>,
    title: Part,
    body: Part,
    html: Part,
    link: Part,
}

/// One of the texts.
enum Part {
    /// No marks in it: it is what it is.
    Plain(String),
    /// The environment has it under its name.
    Template,
}

/// What became of a template.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rendered {
    pub title: String,
    pub body: String,
    pub html: String,
    pub link: String,
}

impl Compiled {
    pub fn new(texts: &Texts) -> Result<Self, Broken> {
        let mut environment = ENVIRONMENT.clone();
        let mut part = |field: &'static str, source: &str| {
            if source.len() > MAX_SOURCE {
                return Err(Broken { field, line: None, words: format!("It has more than {MAX_SOURCE} bytes.") });
            }
            if !["{{", "{%", "{#"].iter().any(|mark| source.contains(mark)) {
                return Ok(Part::Plain(source.to_owned()));
            }
            if let Some(line) = recursion(source) {
                let words = "A loop that calls itself can grow without end.".to_owned();
                return Err(Broken { field, line: Some(line), words });
            }
            environment.add_template_owned(field, source.to_owned()).map_err(|error| broken(field, &error))?;
            Ok(Part::Template)
        };
        let (title, body) = (part("title", &texts.title)?, part("body", &texts.body)?);
        let (html, link) = (part("html", &texts.html)?, part("link", &texts.link)?);
        Ok(Self { environment, title, body, html, link })
    }

    /// All four texts. The link is rendered first, because the others may name it.
    pub fn render(&self, scene: &Scene) -> Result<Rendered, Broken> {
        let mut root = None;
        let link = self.part("link", &self.link, &mut root, scene)?;
        let link = follow(link.trim())?.to_owned();
        let scene = Scene { link: Some(link.as_str().into()), ..scene.clone() };
        let mut root = None;
        let title = one_line(&self.part("title", &self.title, &mut root, &scene)?);
        let body = self.part("body", &self.body, &mut root, &scene)?;
        let html = self.part("html", &self.html, &mut root, &scene)?;
        Ok(Rendered { title, body, html, link })
    }

    fn part(
        &self,
        field: &'static str,
        part: &Part,
        root: &mut Option<Value>,
        scene: &Scene,
    ) -> Result<String, Broken> {
        let Part::Template = part else {
            let Part::Plain(text) = part else { return Ok(String::new()) };
            return Ok(text.clone());
        };
        let root = root.get_or_insert_with(|| Value::from_object(Root(scene.clone()))).clone();
        let template = self.environment.get_template(field).map_err(|error| broken(field, &error))?;
        PRINTED.set(0);
        let mut page = Page::default();
        match template.render_captured_to(root, &mut page) {
            // Only whole texts are written, never parts of a character.
            Ok(_) => String::from_utf8(page.text).map_err(|_| too_long(field)),
            Err(_) if page.full => Err(too_long(field)),
            Err(error) => Err(broken(field, &error)),
        }
    }
}

/// The line of the first loop that calls itself, `{% for … recursive %}`: what it sets in each level, the next one has, so
/// forty levels would be enough to double a text forty times.
fn recursion(source: &str) -> Option<usize> {
    let mut rest = 0;
    while let Some(at) = source[rest..].find("recursive") {
        let (start, end) = (rest + at, rest + at + "recursive".len());
        let after = source[end..].trim_start();
        let tag = source[..start].rfind("{%").map(|tag| &source[tag + 2..start]).filter(|tag| !tag.contains("%}"));
        let tag = tag.map(|tag| tag.trim_start_matches(['-', '+']).trim_start());
        if after.trim_start_matches(['-', '+']).starts_with("%}") && tag.is_some_and(|tag| tag.starts_with("for")) {
            return Some(source[..start].matches('\n').count() + 1);
        }
        rest = end;
    }
    None
}

/// An environment without templates, which is cheap to clone.
static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    environment.set_auto_escape_callback(|name| if name == "html" { AutoEscape::Html } else { AutoEscape::None });
    environment.set_formatter(print);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(MAX_DEPTH);
    // Much of little: `"%9999999s" | format`, `indent(9999999)`, … And what tells of the engine or keeps a loop's texts.
    for filter in ["batch", "format", "indent", "pprint", "slice"] {
        environment.remove_filter(filter);
    }
    for global in ["debug", "namespace", "range"] {
        environment.remove_global(global);
    }
    filters::register(&mut environment);
    environment
});

thread_local! {
    /// Bytes that the text in rendering has printed, also into its own variables.
    static PRINTED: Cell<usize> = const { Cell::new(0) };
}

/// Prints a value: nothing for what is not there, and not without end.
fn print(out: &mut Output, state: &mut State, value: &Value) -> Result<(), minijinja::Error> {
    let spend = |bytes: usize| {
        let printed = PRINTED.get().saturating_add(bytes);
        PRINTED.set(printed);
        if printed > MAX_OUTPUT {
            Err(minijinja::Error::new(ErrorKind::WriteFailure, "It prints too much."))
        } else {
            Ok(())
        }
    };
    match (value.kind(), value.as_str()) {
        (ValueKind::Undefined | ValueKind::None, _) => Ok(()),
        (_, Some(text)) => {
            spend(text.len())?;
            escape_formatter(out, state, value)
        }
        (ValueKind::Bool | ValueKind::Number, _) => {
            spend(8)?;
            escape_formatter(out, state, value)
        }
        _ => {
            let mut page = Page::default();
            spend(if write_json(value, 0, &mut page) { page.text.len() } else { MAX_OUTPUT + 1 })?;
            escape_formatter(out, state, &String::from_utf8_lossy(&page.text).into_owned().into())
        }
    }
}

/// A list or an object, as JSON. False when it is too much: a list may be endless without being large.
fn write_json(value: &Value, depth: usize, page: &mut Page) -> bool {
    let text = |text: &str, page: &mut Page| serde_json::to_writer(page, text).is_ok();
    match (value.kind(), value.as_str()) {
        (_, Some(string)) => text(string, page),
        (ValueKind::Bool | ValueKind::Number, _) => page.take(value.to_string().as_bytes()),
        (ValueKind::Undefined | ValueKind::None, _) => page.take(b"null"),
        _ if depth > MAX_DEPTH => false,
        (kind, _) => {
            let Ok(entries) = value.try_iter() else { return page.take(b"null") };
            let is_map = kind == ValueKind::Map;
            page.take(if is_map { b"{" } else { b"[" })
                && entries.enumerate().all(|(index, entry)| {
                    (index == 0 || page.take(b","))
                        && if is_map {
                            let item = value.get_item(&entry).unwrap_or_default();
                            text(&entry.to_string(), page) && page.take(b":") && write_json(&item, depth + 1, page)
                        } else {
                            write_json(&entry, depth + 1, page)
                        }
                })
                && page.take(if is_map { b"}" } else { b"]" })
        }
    }
}

/// Takes no more than [`MAX_OUTPUT`] bytes.
#[derive(Default)]
struct Page {
    text: Vec<u8>,
    full: bool,
}

impl Page {
    fn take(&mut self, bytes: &[u8]) -> bool {
        self.full |= self.text.len() + bytes.len() > MAX_OUTPUT;
        if !self.full {
            self.text.extend_from_slice(bytes);
        }
        !self.full
    }
}

impl io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.take(bytes) { Ok(bytes.len()) } else { Err(io::ErrorKind::StorageFull.into()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn too_long(field: &'static str) -> Broken {
    Broken { field, line: None, words: format!("It becomes longer than {MAX_OUTPUT} bytes.") }
}

fn broken(field: &'static str, error: &minijinja::Error) -> Broken {
    let words = match (error.kind(), error.detail()) {
        (ErrorKind::OutOfFuel, _) => format!("It takes more than {FUEL} steps."),
        (kind, Some(detail)) => format!("{kind}: {}.", detail.trim_end_matches('.')),
        (kind, None) => format!("{kind}."),
    };
    // A detail may quote the template or its data.
    let words = words.chars().take(300).collect();
    Broken { field, line: error.line(), words }
}

/// A title has one line: any white space is a space, and nothing invisible steers whoever shows it.
fn one_line(title: &str) -> String {
    let mut line = String::with_capacity(title.len().min(MAX_TITLE));
    for word in title.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if line.len() > MAX_TITLE {
        let end = (0..=MAX_TITLE - '…'.len_utf8()).rev().find(|&end| line.is_char_boundary(end)).unwrap_or(0);
        line.truncate(end);
        line.push('…');
    }
    line
}

/// A link is a path or a URL that opens something; none that runs.
fn follow(link: &str) -> Result<&str, Broken> {
    let refuse = |words: &str| Err(Broken { field: "link", line: None, words: words.to_owned() });
    if link.len() > MAX_LINK {
        return refuse("It is longer than 4096 bytes.");
    }
    if link.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return refuse("It has white space in it; values want the filter urlencode.");
    }
    let scheme = link.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
    if matches!(scheme.as_deref(), Some("javascript" | "data" | "vbscript" | "file" | "blob")) {
        return refuse("It is no address that may be opened.");
    }
    Ok(link)
}

/// Templates that were compiled lately, by their texts: so none can be out of date.
static CACHE: LazyLock<Cache> = LazyLock::new(Cache::default);

/// Compiles unless that has been done lately. Worth nothing for texts without marks, harmless too.
pub fn compile(texts: &Texts) -> Result<Arc<Compiled>, Broken> {
    CACHE.get(texts)
}

/// Templates and bytes of their texts that are kept.
const MAX_CACHED: usize = 500;
const MAX_CACHED_BYTES: usize = 16 << 20;

#[derive(Default)]
struct Cache {
    hasher: RandomState,
    // Never held while something compiles.
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    by_hash: HashMap<u64, (Arc<Texts>, Arc<Compiled>)>,
    /// Oldest first.
    order: VecDeque<u64>,
    bytes: usize,
}

impl Cache {
    fn get(&self, texts: &Texts) -> Result<Arc<Compiled>, Broken> {
        let hash = self.hasher.hash_one(texts);
        if let Some((same, compiled)) = self.kept.lock().by_hash.get(&hash)
            && **same == *texts
        {
            return Ok(compiled.clone());
        }
        let compiled = Arc::new(Compiled::new(texts)?);
        self.kept.lock().put(hash, Arc::new(texts.clone()), compiled.clone());
        Ok(compiled)
    }
}

impl Kept {
    fn put(&mut self, hash: u64, texts: Arc<Texts>, compiled: Arc<Compiled>) {
        let weight = texts.bytes();
        match self.by_hash.insert(hash, (texts, compiled)) {
            Some((before, _)) => self.bytes -= before.bytes(),
            None => self.order.push_back(hash),
        }
        self.bytes += weight;
        while self.order.len() > MAX_CACHED || (self.bytes > MAX_CACHED_BYTES && self.order.len() > 1) {
            let Some(oldest) = self.order.pop_front() else { break };
            if let Some((texts, _)) = self.by_hash.remove(&oldest) {
                self.bytes -= texts.bytes();
            }
        }
    }
}

#[cfg(test)]
mod tests;
