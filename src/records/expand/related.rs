//! Which records one segment of a path leads to.

use std::{borrow::Cow, collections::HashMap, sync::Arc};

use super::super::{layout::Table, sheet::Sheet};
use crate::{
    db::{ReadTx, Value, quote_ident},
    error::{Error, Result},
    schema::{Catalog, Collection, FieldKind, FieldType, field},
};

/// Records that point at one record, at most.
const MAX_BACK: usize = 1000;

/// What a segment names.
pub enum Relation<'a> {
    /// A relation field: its position in the parent's collection.
    Forward { target: &'a Arc<Collection>, position: usize, multiple: bool },
    /// `OTHER_via_FIELD`: records of `target` whose relation field points at the parent.
    Back { target: &'a Arc<Collection>, field: &'a str, multiple: bool },
}

impl<'a> Relation<'a> {
    /// `None` when the segment means nothing for records of this table.
    pub fn find(catalog: &'a Catalog, table: &'a Table, segment: &str) -> Option<Self> {
        let Some((other, name)) = back_relation(segment) else {
            let position = table.collection.fields.iter().position(|field| field.name == segment)?;
            let relation = as_relation(&table.collection.fields[position].kind)?;
            let target = catalog.by_id(&relation.collection_id)?;
            return Some(Self::Forward { target, position, multiple: relation.is_multiple() });
        };
        let target = catalog.find(other)?;
        let field = target.field(name)?;
        let relation = as_relation(&field.kind)?;
        (relation.collection_id == *table.collection.id).then_some(Self::Back {
            target,
            field: &field.name,
            multiple: relation.is_multiple(),
        })
    }

    /// The collection that it leads to.
    pub fn target(&self) -> &'a Arc<Collection> {
        match self {
            Self::Forward { target, .. } | Self::Back { target, .. } => target,
        }
    }

    /// True when the client gets one object instead of a list.
    pub fn is_single(&self) -> bool {
        match self {
            Self::Forward { multiple, .. } => !multiple,
            Self::Back { target, field, .. } => target.has_unique_index(field),
        }
    }

    /// The field of the parent (its position) that leads there.
    pub fn field(&self, parent: &Table) -> usize {
        match self {
            Self::Forward { position, .. } => *position,
            Self::Back { .. } => parent.id,
        }
    }

    /// The ids of the related records of each parent; they need not exist.
    pub fn ids(&self, tx: &ReadTx<'_>, parents: &Sheet) -> Result<Vec<Vec<String>>> {
        match self {
            Self::Forward { position, .. } => Ok(parents.values(*position).map(ids_of).collect()),
            Self::Back { target, field, multiple } => back_ids(tx, parents, target, field, *multiple),
        }
    }
}

fn as_relation(kind: &FieldKind) -> Option<&field::Relation> {
    match kind {
        FieldKind::Relation(relation) => Some(relation),
        _ => None,
    }
}

/// Collection and field of `OTHER_via_FIELD` and of the old spelling `OTHER(FIELD)`.
fn back_relation(segment: &str) -> Option<(&str, &str)> {
    segment.split_once("_via_").or_else(|| segment.strip_suffix(')')?.split_once('('))
}

/// The ids in a stored value, whatever the field was when it was stored.
fn ids_of(value: &Value) -> Vec<String> {
    let Value::Text(text) = value else { return Vec::new() };
    if text.starts_with('[')
        && let Ok(ids) = serde_json::from_str::<Vec<Cow<'_, str>>>(text)
    {
        return ids.into_iter().filter(|id| !id.is_empty()).map(Cow::into_owned).collect();
    }
    if text.is_empty() { Vec::new() } else { vec![text.clone()] }
}

fn back_ids(
    tx: &ReadTx<'_>,
    parents: &Sheet,
    target: &Collection,
    field: &str,
    multiple: bool,
) -> Result<Vec<Vec<String>>> {
    let ids: Vec<Option<&str>> = parents.ids().collect();
    let json = serde_json::to_string(&ids).map_err(Error::internal)?;
    let (column, collection) = (quote_ident(field), quote_ident(&target.name));
    let sql = match multiple {
        false => format!(
            "SELECT t.{column}, t.`id` FROM {collection} t WHERE t.{column} IN (SELECT value FROM json_each(?1))"
        ),
        // A value from before the field was multiple counts as one element.
        true => format!(
            "SELECT e.value, t.`id` FROM {collection} t, json_each(CASE
                WHEN iif(json_valid(t.{column}), json_type(t.{column}) = 'array', FALSE) THEN t.{column}
                ELSE json_array(t.{column}) END) e
             WHERE e.value IN (SELECT value FROM json_each(?1))"
        ),
    };
    let mut found: HashMap<String, Vec<String>> = HashMap::new();
    let mut statement = tx.prepare(&sql)?;
    let mut rows = statement.query([json])?;
    while let Some(row) = rows.next()? {
        let (parent, id): (String, String) = (row.get(0)?, row.get(1)?);
        let ids = found.entry(parent).or_default();
        if ids.len() < MAX_BACK && (!multiple || ids.last() != Some(&id)) {
            ids.push(id);
        }
    }
    let of = |id: &Option<&str>| id.and_then(|id| found.get(id)).cloned().unwrap_or_default();
    Ok(ids.iter().map(of).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_name_back_relations() {
        for (segment, expected) in [
            ("author", None),
            ("cmts_via_post", Some(("cmts", "post"))),
            ("cmts(post)", Some(("cmts", "post"))),
            ("cmts(post", None),
            ("", None),
        ] {
            assert_eq!(back_relation(segment), expected, "{segment}");
        }
    }

    #[test]
    fn stored_values_hold_ids() {
        for (stored, ids) in [
            ("", &[][..]),
            ("a", &["a"]),
            ("[]", &[]),
            (r#"["b","a"]"#, &["b", "a"]),
            (r#"["","a"]"#, &["a"]),
            ("[x", &["[x"]),
        ] {
            assert_eq!(ids_of(&Value::Text(stored.to_owned())), ids, "{stored}");
        }
        assert!(ids_of(&Value::Null).is_empty());
    }
}
