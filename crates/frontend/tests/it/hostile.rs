//! Files that were made to hurt: they end soon, and with what they mean.

use std::fmt::Write;

use crate::given::{amd64, lowered, outcome};

/// Each stage takes something from the one before, on a thread with little room.
fn chain(link: &'static str) -> usize {
    let chain = move || {
        let mut source = "FROM scratch AS s0\n".to_owned();
        for stage in 1..5_000 {
            let before = stage - 1;
            let line = link.replace("BEFORE", &format!("s{before}"));
            writeln!(source, "{}", line.replace("THIS", &format!("s{stage}"))).unwrap();
        }
        lowered(&source, &amd64()).stages.len()
    };
    let thread = std::thread::Builder::new().stack_size(512 * 1024);
    thread.spawn(chain).unwrap().join().unwrap()
}

#[test]
fn many_stages_upon_each_other() {
    assert_eq!(chain("FROM BEFORE AS THIS"), 5_000);
    assert_eq!(chain("FROM scratch AS THIS\nCOPY --from=BEFORE a /"), 5_000);
    let mounted = "FROM scratch AS THIS\nRUN --mount=from=BEFORE,target=/x [\"x\"]";
    assert_eq!(chain(mounted), 5_000);
}

#[test]
fn many_stages_that_nobody_needs() {
    let mut source = String::new();
    for stage in 0..5_000 {
        let next = stage + 1;
        writeln!(source, "FROM scratch AS s{stage}\nCOPY --from=s{next} a /").unwrap();
    }
    let last = "FROM scratch AS s5000\nCOPY --from=s0 a /\nFROM scratch\n";
    let errors = outcome(&(source.clone() + last), &amd64()).end.unwrap_err();
    assert_eq!(errors.len(), 5_000, "all but the last lead onward");
    let last = "FROM scratch AS s5000\nFROM scratch\n";
    let lowered = outcome(&(source + last), &amd64()).end.unwrap();
    assert_eq!(lowered.stages.len(), 1);
}

/// A value that doubles itself is an error before it is too long to hold.
#[test]
fn arguments_that_double_themselves() {
    let mut source = "FROM scratch\nARG a=0123456789abcdef\n".to_owned();
    (0..64).for_each(|_| source += "ARG a=$a$a\n");
    let errors = outcome(&source, &amd64()).end.unwrap_err();
    assert!(
        errors[0].message.contains("more than"),
        "{}",
        errors[0].message
    );
}
