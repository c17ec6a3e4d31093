//! What programs call the types of collections: names in camel case that differ from each other.

use std::collections::HashSet;

/// A name for each of these collections, in their order: `order_items` is `OrderItems`, `_inbox` is `SystemInbox`. What is
/// `taken`, by somebody else or an earlier one, gets an underscore.
pub fn type_names<'a>(names: impl Iterator<Item = &'a str>, taken: impl Fn(&str) -> bool) -> Vec<String> {
    let mut given = HashSet::new();
    let unlike_others = |name: &str| {
        let mut name = type_name(name);
        while taken(&name) || !given.insert(name.clone()) {
            name.push('_');
        }
        name
    };
    names.map(unlike_others).collect()
}

fn type_name(collection: &str) -> String {
    let (prefix, rest) = match collection.strip_prefix('_') {
        Some(rest) => ("System", rest),
        None => ("", collection),
    };
    let mut name = prefix.to_owned();
    for word in rest.split(|letter: char| !letter.is_ascii_alphanumeric()) {
        let mut letters = word.chars();
        name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        name.extend(letters);
    }
    // `2fa` would not begin with a letter.
    if name.starts_with(|first: char| !first.is_ascii_alphabetic()) { format!("N{name}") } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_types_and_differ() {
        let names = ["order_items", "orderItems", "_inbox", "2fa", "x__y", "error", "SystemInbox", "_"];
        let given = type_names(names.into_iter(), |name| name == "Error");
        assert_eq!(
            given,
            ["OrderItems", "OrderItems_", "SystemInbox", "N2fa", "XY", "Error_", "SystemInbox_", "System"]
        );
    }
}
