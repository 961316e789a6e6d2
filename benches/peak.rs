//! Prints the most multiply-adds that one thread does, in GFLOP/s.

mod fma;

fn main() {
    println!("{}", fma::peak());
}
