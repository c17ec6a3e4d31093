//! The collections that every new directory starts with (`docs/wire/records-storage.md` §6, `auth.md` §1.4, §1.5, §5).

use crate::schema::{
    Collection, CollectionType, Field, FieldKind,
    auth_options::AuthOptions,
    collection::Options,
    draft::scaffold,
    field::{Autodate, File, Password, Text},
};

/// The default collection of an app's users.
const USERS_ID: &str = "_pb_users_auth_";
/// Whoever the row belongs to.
pub(super) const OWNER: &str =
    "@request.auth.id != '' && recordRef = @request.auth.id && collectionRef = @request.auth.collectionId";
const SELF: &str = "id = @request.auth.id";

/// All of them in order of creation; ids, dates and automatic indexes are filled in when they are settled.
pub(super) fn collections() -> Vec<Collection> {
    vec![mfas(), otps(), external_auths(), auth_origins(), superusers(), users()]
}

fn mfas() -> Collection {
    let mut collection = referring("_mfas", [required("method")]);
    collection.indexes = vec![index("", "idx_mfas_collectionRef_recordRef", "_mfas", "collectionRef,recordRef")];
    collection
}

fn otps() -> Collection {
    let password = FieldKind::Password(Password { cost: 8, ..Password::default() });
    let password = Field { hidden: true, required: true, system: true, ..Field::new("password", password) };
    let mut collection = referring("_otps", [password, sent_to()]);
    collection.indexes = vec![index("", "idx_otps_collectionRef_recordRef", "_otps", "collectionRef, recordRef")];
    collection
}

fn external_auths() -> Collection {
    let mut collection = referring("_externalAuths", [required("provider"), required("providerId")]);
    collection.delete_rule = Some(OWNER.to_owned());
    let unique = |name: &str, columns: &str| index("UNIQUE ", name, "_externalAuths", columns);
    collection.indexes = vec![
        unique("idx_externalAuths_record_provider", "collectionRef, recordRef, provider"),
        unique("idx_externalAuths_collection_provider", "collectionRef, provider, providerId"),
    ];
    collection
}

fn auth_origins() -> Collection {
    let mut collection = referring("_authOrigins", [required("fingerprint")]);
    collection.delete_rule = Some(OWNER.to_owned());
    let columns = "collectionRef, recordRef, fingerprint";
    collection.indexes = vec![index("UNIQUE ", "idx_authOrigins_unique_pairs", "_authOrigins", columns)];
    collection
}

fn superusers() -> Collection {
    let mut collection = Collection { name: "_superusers".into(), system: true, ..scaffold(CollectionType::Auth) };
    collection.fields.extend(dates(true));
    if let Options::Auth(options) = &mut collection.options {
        options.auth_token.duration = 86_400;
    }
    collection
}

fn users() -> Collection {
    let own = || Some(SELF.to_owned());
    let mut options = AuthOptions::default();
    options.oauth2.mapped_fields.name = "name".to_owned();
    options.oauth2.mapped_fields.avatar_url = "avatar".to_owned();
    let mut collection = Collection {
        list_rule: own(),
        view_rule: own(),
        create_rule: Some(String::new()),
        update_rule: own(),
        delete_rule: own(),
        fields: scaffold(CollectionType::Auth).fields,
        ..Collection::new(USERS_ID, "users", Options::Auth(Box::new(options)))
    };
    let images = ["image/jpeg", "image/png", "image/svg+xml", "image/gif", "image/webp"];
    let avatar = File { max_select: 1, mime_types: images.map(str::to_owned).to_vec(), ..File::default() };
    collection.fields.push(Field::new("name", FieldKind::Text(Text { max: 255, ..Text::default() })));
    collection.fields.push(Field::new("avatar", FieldKind::File(avatar)));
    collection.fields.extend(dates(false));
    collection
}

/// A base collection whose records belong to a record of an auth collection.
fn referring<const N: usize>(name: &str, own: [Field; N]) -> Collection {
    let mut collection = Collection { name: name.into(), system: true, ..scaffold(CollectionType::Base) };
    collection.list_rule = Some(OWNER.to_owned());
    collection.view_rule = Some(OWNER.to_owned());
    collection.fields.extend([required("collectionRef"), required("recordRef")]);
    collection.fields.extend(own);
    collection.fields.extend(dates(true));
    collection
}

pub(super) fn required(name: &str) -> Field {
    Field { required: true, system: true, ..Field::new(name, FieldKind::Text(Text::default())) }
}

/// Where a one-time password was sent.
pub(super) fn sent_to() -> Field {
    Field { hidden: true, system: true, ..Field::new("sentTo", FieldKind::Text(Text::default())) }
}

pub(super) fn dates(system: bool) -> [Field; 2] {
    let date = |name: &str, on_update| Field {
        system,
        ..Field::new(name, FieldKind::Autodate(Autodate { on_create: true, on_update }))
    };
    [date("created", false), date("updated", true)]
}

pub(super) fn index(unique: &str, name: &str, table: &str, columns: &str) -> String {
    format!("CREATE {unique}INDEX `{name}` ON `{table}` ({columns})")
}
