//! Builds the crate again when a migration is added: they are compiled in. And says whether its tests have a server.

fn main() {
    println!("cargo::rerun-if-changed=../../migrations");
    needs::tell(&[needs::Need::Postgres]);
}
