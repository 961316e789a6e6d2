//! Says which of the things that some tests need are on this machine.

use needs::Need;

fn main() {
    needs::emit_cfgs(&[Need::Python, Need::Numpy, Need::Chromium, Need::Axe, Need::Postgres, Need::Mounts]);
}
