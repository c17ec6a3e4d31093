//! [`Query`]: rules, filters and sorts over one collection, as SQL that is compiled once and bound per request.

use std::sync::{Arc, LazyLock};

use super::{
    cache::Cache,
    request::Request,
    sql::{
        Base, Compiler, Fault, Rights,
        frag::Frag,
        plan::{Plan, Rendered},
        slot::{Binding, Slot},
    },
};
use crate::{
    db::{Row, Value},
    error::{Error, Result},
    schema::{Catalog, Collection},
};

/// Bytes of a client's filter (§10).
pub(super) const MAX_FILTER_BYTES: usize = 3500;
/// Bytes of compiled plans that one catalog (and, together, all plain tables) may keep, roughly and twice over.
const PLAN_CACHE_BYTES: usize = 8 << 20;
/// Plans of the same texts for requests of different shapes.
const MAX_SHAPES: usize = 16;

/// SQL text with its bound parameters, in the order of its `?`s.
#[derive(Debug, Clone, PartialEq)]
pub struct Sql {
    /// Shared with the compiled plan: the same text for every request of the same shape.
    pub text: Arc<str>,
    pub params: Vec<Value>,
}

/// Rules, filters and sorts over one collection, sharing their joins (§7.5).
pub struct Query<'a> {
    base: Base<'a>,
    request: &'a Request,
    new_row: Option<&'a Row>,
    steps: Vec<Step>,
    /// The values of `and_id` and `and_in`.
    extras: Vec<Value>,
    /// Names base, rights and steps: what plans are remembered by.
    key: String,
    /// Of the steps so far; `None` when steps were added that cannot fail.
    plan: Option<Arc<Plan>>,
    /// False while a collection is only proposed: nothing compiled for it may be remembered.
    remember: bool,
}

/// One addition to a query.
#[derive(Debug)]
enum Step {
    Rule(Box<str>),
    Filter(Box<str>),
    Sort(Box<str>),
    /// A column condition with the extra value of this number.
    Column {
        template: &'static str,
        column: Box<str>,
        extra: usize,
    },
}

/// Plans by key, one for each shape of request.
type Plans = Cache<Arc<[Arc<Plan>]>>;

impl<'a> Query<'a> {
    pub fn new(catalog: &'a Catalog, base: &'a Collection, request: &'a Request) -> Self {
        let key = format!("t {}", base.id);
        Self::over(Base::Collection { catalog, collection: base, new_row: false }, request, None, key)
    }

    /// Over a one-row virtual table with the would-be values of a new record (§9.2).
    pub fn over_new_row(catalog: &'a Catalog, base: &'a Collection, request: &'a Request, row: &'a Row) -> Self {
        let key = format!("n {}", base.id);
        Self::over(Base::Collection { catalog, collection: base, new_row: true }, request, Some(row), key)
    }

    /// Over a plain table with a fixed list of columns (collections, logs): modifiers and dotted paths fail.
    pub fn over_table(table: &'static str, columns: &'static [&'static str], request: &'a Request) -> Self {
        Self::over_table_with_json(table, columns, None, request)
    }

    /// The same where paths may go on below one of the columns, which holds JSON.
    pub fn over_table_with_json(
        table: &'static str,
        columns: &'static [&'static str],
        json: Option<&'static str>,
        request: &'a Request,
    ) -> Self {
        let key = format!("p {table} {} {}", columns.join(" "), json.unwrap_or_default());
        Self::over(Base::Table { table, columns, json }, request, None, key)
    }

    fn over(base: Base<'a>, request: &'a Request, new_row: Option<&'a Row>, mut key: String) -> Self {
        key.push(if request.caller.is_superuser() { 's' } else { 'c' });
        Self { base, request, new_row, steps: Vec::new(), extras: Vec::new(), key, plan: None, remember: true }
    }

    /// Compiles afresh and remembers nothing.
    pub(super) fn forgetful(mut self) -> Self {
        self.remember = false;
        self
    }

    /// Only this record.
    pub fn and_id(&mut self, id: &str) {
        self.column("{0} = {1}", "id", Value::Text(id.to_owned()));
    }

    /// Only records whose id follows this one, in the order of ids.
    pub fn and_after(&mut self, id: &str) {
        self.column("{0} > {1}", "id", Value::Text(id.to_owned()));
    }

    /// Only records where `column` (of the base table, quoted here) is one of these texts, bound as one JSON array.
    pub fn and_in(&mut self, column: &str, values: &[&str]) {
        let list = serde_json::to_string(values).expect("texts are always JSON");
        self.column("{0} IN (SELECT value FROM json_each({1}))", column, Value::Text(list));
    }

    fn column(&mut self, template: &'static str, column: &str, value: Value) {
        let extra = self.extras.len();
        self.extras.push(value);
        self.add_key(template, column);
        self.steps.push(Step::Column { template, column: column.into(), extra });
        self.plan = None;
    }

    /// Adds an API rule: sees hidden fields, ignores e-mail visibility and foreign list rules. A blank rule adds
    /// nothing.
    pub fn and_rule(&mut self, rule: &str) -> Result<()> {
        match rule.is_empty() {
            true => Ok(()),
            false => self.add("rule", rule, Step::Rule),
        }
    }

    /// Adds a client's filter with the privileges of the request's caller (§6.3, §6.4, §10). An absent (empty) filter
    /// adds nothing; a blank one fails.
    pub fn and_filter(&mut self, filter: &str) -> Result<()> {
        if filter.is_empty() {
            return Ok(());
        }
        if filter.len() > MAX_FILTER_BYTES {
            return Err(invalid("filter", &Fault::Refused(format!("longer than {MAX_FILTER_BYTES} bytes"))));
        }
        self.check_client_text(filter)?;
        self.add("filter", filter, Step::Filter)
    }

    /// Adds a client's sort (`records-api.md` §2). An absent (empty) sort adds nothing.
    pub fn sort(&mut self, sort: &str) -> Result<()> {
        if sort.is_empty() {
            return Ok(());
        }
        self.check_client_text(sort)?;
        self.add("sort", sort, Step::Sort)
    }

    /// `SELECT <columns of base> …`, each record once, in the sort's order. `columns` are names of the base table, or
    /// empty for `1` in no order. When a sort goes through a multi-value path and `id` is not among the columns, it
    /// follows them as one more.
    pub fn select(&self, columns: &[&str], limit: Option<u64>, offset: u64) -> Sql {
        let rendered = self.plan().select(columns, limit.is_some() || offset > 0);
        self.bind(&rendered, limit, offset)
    }

    /// How many records match.
    pub fn count(&self) -> Sql {
        self.bind(&self.plan().count(), None, 0)
    }

    /// Ids of all collections whose rows the conditions read: the base (unless it is a new row), everything joined, and
    /// what joined views are made of. The caller's own row is not among them: it came with the request.
    pub fn reads(&self) -> Vec<Arc<str>> {
        self.plan().reads().to_vec()
    }

    fn bind(&self, rendered: &Rendered, limit: Option<u64>, offset: u64) -> Sql {
        let binding = Binding {
            request: self.request,
            new_row: self.new_row,
            extras: &self.extras,
            limit: limit.map_or(-1, |limit| i64::try_from(limit).unwrap_or(i64::MAX)),
            offset: i64::try_from(offset).unwrap_or(i64::MAX),
        };
        Sql { text: rendered.text.clone(), params: rendered.bind(&binding) }
    }

    /// Only superusers may look at requests and other collections from outside; the mere text is refused (§6.3).
    fn check_client_text(&self, text: &str) -> Result<()> {
        let forbidden = ["@request.", "@collection."].iter().any(|name| text.contains(name));
        match forbidden && !self.request.caller.is_superuser() {
            true => Err(Error::forbidden("Only superusers can filter by @request and @collection fields.")),
            false => Ok(()),
        }
    }

    /// Adds a step that may fail, and compiles.
    fn add(&mut self, what: &'static str, text: &str, step: fn(Box<str>) -> Step) -> Result<()> {
        let length = self.key.len();
        self.add_key(what, text);
        self.steps.push(step(text.into()));
        let compiled = match self.find_or_compile() {
            Ok(plan) => plan.check_weight().map(|()| plan),
            other => other,
        };
        match compiled {
            Ok(plan) => {
                self.plan = Some(plan);
                Ok(())
            }
            Err(fault) => {
                self.key.truncate(length);
                self.steps.pop();
                Err(invalid(what, &fault))
            }
        }
    }

    /// The length makes the key unambiguous whatever the text holds.
    fn add_key(&mut self, what: &str, text: &str) {
        use std::fmt::Write;
        write!(self.key, "\n{what} {} {text}", text.len()).expect("writing to a String cannot fail");
    }

    fn plan(&self) -> Arc<Plan> {
        match &self.plan {
            Some(plan) => plan.clone(),
            None => self.find_or_compile().expect("what can fail was compiled when it was added"),
        }
    }

    fn find_or_compile(&self) -> Result<Arc<Plan>, Fault> {
        if !self.remember {
            return self.compile().map(Arc::new);
        }
        let plans = self.plans();
        let known = plans.get(&self.key).unwrap_or_default();
        if let Some(plan) = known.iter().find(|plan| plan.serves(self.request)) {
            return Ok(plan.clone());
        }
        let plan = Arc::new(self.compile()?);
        let shapes: Arc<[Arc<Plan>]> =
            [plan.clone()].into_iter().chain(known.iter().take(MAX_SHAPES - 1).cloned()).collect();
        let weight = shapes.iter().map(|plan| plan.weight()).sum::<usize>() + 2 * self.key.len();
        plans.insert(&self.key, shapes, weight);
        Ok(plan)
    }

    /// Plans live and die with the catalog they were compiled from.
    fn plans(&self) -> &Plans {
        static TABLES: LazyLock<Plans> = LazyLock::new(|| Cache::new(PLAN_CACHE_BYTES));
        match self.base {
            Base::Collection { catalog, .. } => catalog.derived(|| Plans::new(PLAN_CACHE_BYTES)),
            Base::Table { .. } => &TABLES,
        }
    }

    fn compile(&self) -> Result<Plan, Fault> {
        let rights = if self.request.caller.is_superuser() { Rights::All } else { Rights::Client };
        let mut compiler = Compiler::new(self.base, self.request);
        for step in &self.steps {
            match step {
                Step::Rule(text) => compiler.filter(text, Rights::All)?,
                Step::Filter(text) => compiler.filter(text, rights)?,
                Step::Sort(text) => compiler.sort(text, rights)?,
                Step::Column { template, column, extra } => {
                    compiler.column_condition(template, column, &Frag::slot(Slot::Extra(*extra)));
                }
            }
        }
        Ok(Plan::new(compiler))
    }
}

/// The reason is for the log only (§10).
fn invalid(what: &'static str, fault: &Fault) -> Error {
    let message = match what {
        "sort" => "The sort is not valid.",
        _ => "The filter is not valid.",
    };
    Error::invalid(message).because(anyhow::anyhow!("{what}: {fault}"))
}
