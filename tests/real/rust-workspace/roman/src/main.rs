//! Prints numbers as the Romans wrote them.

fn main() {
    for n in std::env::args().skip(1) {
        println!("{}", numerals::roman(n.parse().expect("a number")));
    }
}
