//! Tells the tests whether this machine has a PostgreSQL server.

fn main() {
    needs::tell(&[needs::Need::Postgres]);
}
