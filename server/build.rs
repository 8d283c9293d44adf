//! Builds the program anew when the site that it carries has been built (`cargo xtask web`).

fn main() {
    println!("cargo::rerun-if-changed=site");
}
