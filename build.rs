//! `include_dir!` notices changed files but not added or removed ones: cargo has to look at the folders that are
//! embedded. Of the admin UI that is what was built, not its source with thousands of packages.

fn main() {
    for folder in ["admin/dist", "emails", "migrations", "notify", "openapi"] {
        println!("cargo::rerun-if-changed=assets/{folder}");
    }
}
