//! `geoDistance` and `strftime` (`records-filter.md` §4).

use super::{
    Compiler, Fault,
    frag::Frag,
    operand::{Reading, Side, Term},
    slot::Slot,
};
use crate::{
    db::Value,
    rules::{
        class::Class,
        macros::Macro,
        parse::expr::{Function, Operand},
    },
};

/// Arguments of `strftime` (§10).
const MAX_TIME_ARGUMENTS: usize = 10;

impl<'a> Compiler<'a> {
    pub(super) fn function(&mut self, function: &Function, reading: &mut Reading<'_, 'a>) -> Result<Side, Fault> {
        match function.name.as_str() {
            "geoDistance" => self.geo_distance(&function.arguments, reading),
            "strftime" => self.strftime(&function.arguments, reading),
            other => Err(Fault::refused(format!("there is no function {other:?}"))),
        }
    }

    /// Kilometres between two points. Of multi-value paths it sees the joined row only, never all values.
    fn geo_distance(&mut self, arguments: &[Operand], reading: &mut Reading<'_, 'a>) -> Result<Side, Fault> {
        if arguments.len() != 4 || arguments.iter().any(|it| matches!(it, Operand::Text(_) | Operand::Function(_))) {
            return Err(Fault::refused("geoDistance wants four numbers or fields: lonA, latA, lonB, latB"));
        }
        let all = std::mem::replace(&mut reading.all, false);
        let sides: Result<Vec<Side>, Fault> = arguments.iter().map(|it| self.operand(it, reading)).collect();
        reading.all = all;
        let sides = sides?;
        let terms: Vec<Frag> = sides.iter().map(|side| side.term.sql.clone()).collect();
        let sql = Frag::fill("geo_distance({0})", &[&Frag::join(&terms, ", ")]);
        let guards = sides.into_iter().flat_map(|side| side.guards).collect();
        Ok(Side { guards, ..Side::from(Term::computed(sql, Class::Raw)) })
    }

    /// SQLite's `strftime`; "now" is the request's time.
    fn strftime(&mut self, arguments: &[Operand], reading: &mut Reading<'_, 'a>) -> Result<Side, Fault> {
        let wrong = || Fault::refused("strftime wants a format, a time and modifiers, the first and the last as texts");
        let text = |operand: &Operand| match operand {
            Operand::Text(text) => Ok(Frag::slot(Slot::Const(Value::Text(text.clone())))),
            _ => Err(wrong()),
        };
        if arguments.len() > MAX_TIME_ARGUMENTS {
            return Err(Fault::refused(format!("strftime has at most {MAX_TIME_ARGUMENTS} arguments")));
        }
        let (format, rest) = arguments.split_first().ok_or_else(wrong)?;
        let format = text(format)?;
        let time = match rest.first() {
            None => Term::bound(Slot::Macro(Macro::Now)).into(),
            Some(Operand::Function(_)) => return Err(wrong()),
            Some(operand) => self.operand(operand, reading)?,
        };
        let modifiers: Vec<Frag> = rest.iter().skip(1).map(text).collect::<Result<_, _>>()?;
        let call = |time: &Term| {
            let time = match &time.bound {
                Some(slot) => Frag::slot(Slot::Time(Box::new(slot.clone()))),
                None => time.sql.clone(),
            };
            let arguments: Vec<Frag> = [format.clone(), time].into_iter().chain(modifiers.iter().cloned()).collect();
            let sql = Frag::fill("strftime({0})", &[&Frag::join(&arguments, ", ")]);
            Term::computed(sql, Class::Plain)
        };
        let mut side = Side { term: call(&time.term), ..time };
        if let Some(all) = &mut side.all {
            all.term = call(&all.term);
        }
        Ok(side)
    }
}
