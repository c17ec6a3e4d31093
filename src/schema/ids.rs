//! Deterministic ids of collections and fields (`docs/wire/records-storage.md` §4).

use super::{CollectionType, Field};
use crate::random;

/// `pbc_` and the CRC-32 of type and name; a number is appended until `taken` denies.
pub fn collection(kind: CollectionType, name: &str, taken: impl Fn(&str) -> bool) -> String {
    let base = collection_base(kind, name);
    numbered(base, taken)
}

/// The id that a collection of this type and name gets unless it is taken (`docs/wire/records-storage.md` §4).
pub fn collection_base(kind: CollectionType, name: &str) -> String {
    format!("pbc_{}", crc32fast::hash(format!("{}{name}", kind.as_str()).as_bytes()))
}

/// [`Field::default_id`]; a number is appended until `taken` denies.
pub fn field(kind: &str, name: &str, taken: impl Fn(&str) -> bool) -> String {
    numbered(Field::default_id(kind, name), taken)
}

/// The id of a view's field that was copied from another collection: new at every save.
pub fn clone_of_field() -> String {
    format!("_clone_{}", random::string(random::ALPHANUMERIC, 4))
}

/// A secret that tokens are signed with.
pub fn secret() -> String {
    random::string(random::ALPHANUMERIC, 50)
}

fn numbered(base: String, taken: impl Fn(&str) -> bool) -> String {
    if !taken(&base) {
        return base;
    }
    (2u32..).map(|number| format!("{base}{number}")).find(|id| !taken(id)).expect("a finite list leaves numbers free")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_the_references() {
        let free = |_: &str| false;
        for (kind, name, id) in [
            (CollectionType::Base, "c_min", "pbc_513974109"),
            (CollectionType::Auth, "_superusers", "pbc_3142635823"),
            (CollectionType::Auth, "staff", "pbc_829252413"),
            (CollectionType::Base, "_mfas", "pbc_2279338944"),
        ] {
            assert_eq!(collection(kind, name, free), id);
        }
        assert_eq!(field("text", "id", free), "text3208210256");
        assert_eq!(field("text", "id", |id| id == "text3208210256"), "text32082102562");
        assert_eq!(collection(CollectionType::Auth, "staff", |id| !id.ends_with("134")), "pbc_8292524134");
    }
}
