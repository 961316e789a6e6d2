//! Tells the build of the tests whether this machine has a PostgreSQL server.

fn main() {
    needs::emit_cfgs(&[needs::Need::Postgres]);
}
