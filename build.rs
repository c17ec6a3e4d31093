//! `include_dir!` notices changed files but not added or removed ones: cargo has to look at the folder.

fn main() {
    println!("cargo::rerun-if-changed=assets");
}
