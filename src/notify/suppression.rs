//! The suppression list: addresses that get no mail, or none of some categories. It knows addresses, not accounts, and
//! nothing passes it.
//!
//! An address has one row. `reason` says why; for `unsubscribed` the note lists the categories, one a line, and a blank
//! note means all of them. A mailbox that does not exist stands over what its owner once asked for.

use crate::{
    db::{Value, WriteTx},
    error::Result,
    notify::collections::SUPPRESSIONS,
    records::Records,
};

/// The mail server of the address does not know it.
pub const BOUNCE: &str = "bounce";
/// Somebody asked for no more of it.
pub const UNSUBSCRIBED: &str = "unsubscribed";

/// More categories than this become all of them: nobody asks that often who wants any mail at all.
const MAX_CATEGORIES: usize = 100;
/// Bytes of a note that is not a list.
const MAX_NOTE: usize = 1000;

/// The address as the list has it.
pub fn key(address: &str) -> String {
    address.trim().to_lowercase()
}

/// Whether a row of the list stops a mail of this category.
pub fn stops(reason: &str, note: &str, category: &str) -> bool {
    reason != UNSUBSCRIBED || note.trim().is_empty() || note.lines().any(|line| line == one_line(category))
}

/// A category as a line of a note.
fn one_line(category: &str) -> String {
    category.split(char::is_control).collect::<Vec<_>>().join(" ")
}

/// The row of an address: id, reason, note.
fn row(tx: &WriteTx<'_>, address: &str) -> Result<Option<(String, String, String)>> {
    let sql = "SELECT id, reason, note FROM _suppressions WHERE address = ?1";
    tx.query_one(sql, [address], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
}

/// Puts an address on the list whose mail server refuses it. `why` is what that said.
pub fn bounced(records: &Records, tx: &mut WriteTx<'_>, address: &str, why: &str) -> Result<()> {
    let address = key(address);
    let note = one_line(&why[..why.floor_char_boundary(MAX_NOTE)]);
    match row(tx, &address)? {
        Some((_, reason, _)) if reason != UNSUBSCRIBED => Ok(()),
        Some((id, ..)) => change(records, tx, &id, BOUNCE, &note),
        None => add(records, tx, &address, BOUNCE, &note),
    }
}

/// Stops mails of a category to a bare address. True if that changed anything.
pub fn unsubscribe(records: &Records, tx: &mut WriteTx<'_>, address: &str, category: &str) -> Result<bool> {
    let address = key(address);
    match row(tx, &address)? {
        Some((_, reason, note)) if stops(&reason, &note, category) => return Ok(false),
        Some((id, _, note)) => {
            let all = note.lines().count() >= MAX_CATEGORIES;
            let note =
                if all { String::new() } else { format!("{}\n{}", note.trim_end_matches('\n'), one_line(category)) };
            change(records, tx, &id, UNSUBSCRIBED, &note)?;
        }
        None => add(records, tx, &address, UNSUBSCRIBED, &one_line(category))?,
    }
    Ok(true)
}

/// Lets mails of a category through again, if it was its owner who stopped them, and them alone. True if that changed
/// anything.
pub fn resubscribe(records: &Records, tx: &mut WriteTx<'_>, address: &str, category: &str) -> Result<bool> {
    let Some((id, reason, note)) = row(tx, &key(address))? else { return Ok(false) };
    let category = one_line(category);
    if reason != UNSUBSCRIBED || !note.lines().any(|line| line == category) {
        return Ok(false);
    }
    let rest: Vec<&str> = note.lines().filter(|line| *line != category && !line.is_empty()).collect();
    match rest.is_empty() {
        true => records.bulk(tx).delete(SUPPRESSIONS, &id),
        false => change(records, tx, &id, UNSUBSCRIBED, &rest.join("\n")).map(|()| true),
    }
}

fn add(records: &Records, tx: &mut WriteTx<'_>, address: &str, reason: &str, note: &str) -> Result<()> {
    let text = |text: &str| Value::Text(text.to_owned());
    let columns = [("address", text(address)), ("reason", text(reason)), ("note", text(note))];
    records.bulk(tx).insert(SUPPRESSIONS, &columns).map(drop)
}

fn change(records: &Records, tx: &mut WriteTx<'_>, id: &str, reason: &str, note: &str) -> Result<()> {
    let columns = [("reason", Value::Text(reason.to_owned())), ("note", Value::Text(note.to_owned()))];
    records.bulk(tx).update(SUPPRESSIONS, id, &columns).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_stops_what_it_says() {
        for (reason, note, category, stopped) in [
            (BOUNCE, "550 no such user", "orders", true),
            (BOUNCE, "orders", "news", true),
            ("manual", "", "", true),
            (UNSUBSCRIBED, "", "orders", true),
            (UNSUBSCRIBED, "orders", "orders", true),
            (UNSUBSCRIBED, "orders", "order", false),
            (UNSUBSCRIBED, "orders", "", false),
            (UNSUBSCRIBED, "news\norders", "orders", true),
            (UNSUBSCRIBED, "news\norders", "offers", false),
            (UNSUBSCRIBED, "a b", "a\nb", true),
        ] {
            assert_eq!(stops(reason, note, category), stopped, "{reason} {note:?} {category:?}");
        }
        assert_eq!(key(" Ann@EXAMPLE.com"), "ann@example.com");
    }
}
