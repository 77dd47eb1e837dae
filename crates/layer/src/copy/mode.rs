//! `--chmod`: octal modes, and symbolic ones as `chmod` of POSIX has them. No umask: who names nobody
//! means everybody. Knows no disk.
//!
//! Where POSIX leaves it open: `X` asks the mode from before the first action; `=` with letters takes
//! setuid and setgid of those it is for and leaves the sticky bit, which belongs to the owner's side;
//! a copied class (`g=u`) brings its three bits alone; letters and classes behind one operator are
//! actions one after the other.

use crate::{Error, ErrorKind};

/// The mode that what is copied gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// This mode, for files and folders alike.
    Octal(u32),
    /// What is to be done to the mode that there is.
    Symbolic(Symbolic),
}

/// The actions of a symbolic mode, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbolic(Vec<Action>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Action {
    /// Whose: the read bits of the classes.
    who: u32,
    operator: Operator,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Add,
    Remove,
    Set,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// Of `rwx` for one class, and the others.
    Letters {
        rwx: u32,
        x_if_any: bool,
        setid: bool,
        sticky: bool,
    },
    /// The bits of a class: how far they stand from those of others.
    Class { shift: u32 },
}

const USER: u32 = 0o100;
const GROUP: u32 = 0o010;
const OTHERS: u32 = 0o001;
const ALL: u32 = USER | GROUP | OTHERS;

impl Mode {
    /// Reads the text of `--chmod`.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) for what is no mode.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let parsed = match text.starts_with(|c: char| c.is_ascii_digit()) {
            true => u32::from_str_radix(text, 8).ok().map(Mode::Octal),
            false => Symbolic::parse(text).map(Mode::Symbolic),
        };
        let in_range = |mode: &Mode| !matches!(mode, Mode::Octal(0o10000..));
        parsed.filter(in_range).ok_or_else(|| {
            Error::new(ErrorKind::Invalid, format!("`{text}` is not a mode"))
                .hint("for example `0755`, `u=rwX,go=rX` or `+x`")
        })
    }

    /// What becomes of the mode of an entry.
    pub fn of(&self, before: u32, is_folder: bool) -> u32 {
        match self {
            Mode::Octal(mode) => *mode,
            Mode::Symbolic(Symbolic(actions)) => {
                let has_x = is_folder || before & 0o111 != 0;
                actions
                    .iter()
                    .fold(before & 0o7777, |mode, action| action.on(mode, has_x))
            }
        }
    }

    /// The mode of a folder that has to be made on the way: an octal one as a process with the usual
    /// umask would make it, else 755.
    pub(super) fn of_made(&self) -> u32 {
        match self {
            Mode::Octal(mode) => mode & 0o755,
            Mode::Symbolic(_) => 0o755,
        }
    }
}

impl Symbolic {
    fn parse(text: &str) -> Option<Self> {
        let mut actions = Vec::new();
        for clause in text.split(',') {
            let rest = clause.trim_start_matches(['u', 'g', 'o', 'a']);
            let named = &clause[..clause.len() - rest.len()];
            let who = named
                .chars()
                .fold(0, |who, c| who | class(c).unwrap_or(ALL));
            let who = if named.is_empty() { ALL } else { who };
            let mut operator = None;
            for c in rest.chars() {
                let next = match c {
                    '+' => Operator::Add,
                    '-' => Operator::Remove,
                    '=' => Operator::Set,
                    c => {
                        let what = What::of(c)?;
                        merge(
                            &mut actions,
                            Action {
                                who,
                                operator: operator?,
                                what,
                            },
                        );
                        continue;
                    }
                };
                operator = Some(next);
                // An operator alone counts: `go=` takes all. And it begins what follows it.
                let what = What::NOTHING;
                actions.push(Action {
                    who,
                    operator: next,
                    what,
                });
            }
            operator?;
        }
        Some(Self(actions))
    }
}

/// Letters that follow each other are one action.
fn merge(actions: &mut Vec<Action>, next: Action) {
    let last = actions.last_mut();
    match (last.map(|last| &mut last.what), next.what) {
        (
            Some(What::Letters {
                rwx,
                x_if_any,
                setid,
                sticky,
            }),
            What::Letters {
                rwx: r,
                x_if_any: x,
                setid: s,
                sticky: t,
            },
        ) => {
            (*rwx, *x_if_any) = (*rwx | r, *x_if_any | x);
            (*setid, *sticky) = (*setid | s, *sticky | t);
        }
        (Some(what), class) if *what == What::NOTHING => *what = class,
        _ => actions.push(next),
    }
}

fn class(c: char) -> Option<u32> {
    match c {
        'u' => Some(USER),
        'g' => Some(GROUP),
        'o' => Some(OTHERS),
        _ => None,
    }
}

impl What {
    const NOTHING: Self = What::Letters {
        rwx: 0,
        x_if_any: false,
        setid: false,
        sticky: false,
    };

    fn of(c: char) -> Option<Self> {
        let rwx = match c {
            'r' => 0o4,
            'w' => 0o2,
            'x' => 0o1,
            'X' | 's' | 't' => 0,
            'u' => return Some(What::Class { shift: 6 }),
            'g' => return Some(What::Class { shift: 3 }),
            'o' => return Some(What::Class { shift: 0 }),
            _ => return None,
        };
        Some(What::Letters {
            rwx,
            x_if_any: c == 'X',
            setid: c == 's',
            sticky: c == 't',
        })
    }
}

impl Action {
    fn on(self, mode: u32, has_x: bool) -> u32 {
        let (bits, cleared) = match self.what {
            What::Class { shift } => (self.who * (mode >> shift & 0o7), self.who * 0o7),
            What::Letters {
                rwx,
                x_if_any,
                setid,
                sticky,
            } => {
                let rwx = rwx | u32::from(x_if_any && has_x);
                let setids = self.setids();
                let sticky = if sticky && self.who & USER != 0 {
                    0o1000
                } else {
                    0
                };
                let special = sticky | if setid { setids } else { 0 };
                ((self.who * rwx) | special, (self.who * 0o7) | setids)
            }
        };
        match self.operator {
            Operator::Add => mode | bits,
            Operator::Remove => mode & !bits,
            Operator::Set => (mode & !cleared) | bits,
        }
    }

    /// The bits that `s` stands for.
    fn setids(self) -> u32 {
        let of = |class, bit| if self.who & class != 0 { bit } else { 0 };
        of(USER, 0o4000) | of(GROUP, 0o2000)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A file, a program, a program with both ids, a folder that all may write to, one of a group.
    const BEFORE: [(u32, bool); 5] = [
        (0o640, false),
        (0o750, false),
        (0o6755, false),
        (0o1777, true),
        (0o2775, true),
    ];

    #[test]
    fn symbolic_modes() {
        let rows: [(&str, [u32; 5]); 44] = [
            ("u=rwX,go=rX", [0o644, 0o755, 0o755, 0o1755, 0o755]),
            ("u+x,go-w", [0o740, 0o750, 0o6755, 0o1755, 0o2755]),
            ("+x", [0o751, 0o751, 0o6755, 0o1777, 0o2775]),
            ("+w", [0o662, 0o772, 0o6777, 0o1777, 0o2777]),
            ("a+w", [0o662, 0o772, 0o6777, 0o1777, 0o2777]),
            ("-r", [0o200, 0o310, 0o6311, 0o1333, 0o2331]),
            ("=", [0, 0, 0, 0o1000, 0]),
            ("--", [0o640, 0o750, 0o6755, 0o1777, 0o2775]),
            ("+", [0o640, 0o750, 0o6755, 0o1777, 0o2775]),
            ("u=,g=u", [0, 0, 0o2005, 0o1007, 0o2005]),
            ("g=u", [0o660, 0o770, 0o6775, 0o1777, 0o2775]),
            ("u=g", [0o440, 0o550, 0o6555, 0o1777, 0o2775]),
            ("u=g,g=o", [0o400, 0o500, 0o6555, 0o1777, 0o2755]),
            ("o=g+w", [0o646, 0o757, 0o6757, 0o1777, 0o2777]),
            ("go=", [0o600, 0o700, 0o4700, 0o1700, 0o700]),
            ("g=", [0o600, 0o700, 0o4705, 0o1707, 0o705]),
            ("u=", [0o40, 0o50, 0o2055, 0o1077, 0o2075]),
            ("a=", [0, 0, 0, 0o1000, 0]),
            ("u=rwx,go=u-w", [0o755, 0o755, 0o2755, 0o1755, 0o2755]),
            ("a=rwxs", [0o6777, 0o6777, 0o6777, 0o7777, 0o6777]),
            ("u+s", [0o4640, 0o4750, 0o6755, 0o5777, 0o6775]),
            ("g+s", [0o2640, 0o2750, 0o6755, 0o3777, 0o2775]),
            ("+s", [0o6640, 0o6750, 0o6755, 0o7777, 0o6775]),
            ("o+s", [0o640, 0o750, 0o6755, 0o1777, 0o2775]),
            ("u-s", [0o640, 0o750, 0o2755, 0o1777, 0o2775]),
            ("u=s", [0o4040, 0o4050, 0o6055, 0o5077, 0o6075]),
            ("g=s", [0o2600, 0o2700, 0o6705, 0o3707, 0o2705]),
            ("+t", [0o1640, 0o1750, 0o7755, 0o1777, 0o3775]),
            ("u=t", [0o1040, 0o1050, 0o3055, 0o1077, 0o3075]),
            ("o-t", [0o640, 0o750, 0o6755, 0o1777, 0o2775]),
            ("uo-t", [0o640, 0o750, 0o6755, 0o777, 0o2775]),
            ("+X", [0o640, 0o751, 0o6755, 0o1777, 0o2775]),
            ("a=X", [0, 0o111, 0o111, 0o1111, 0o111]),
            ("a-x+X", [0o640, 0o751, 0o6755, 0o1777, 0o2775]),
            ("a-x,+X", [0o640, 0o751, 0o6755, 0o1777, 0o2775]),
            ("a-rwx,u=rX", [0o400, 0o500, 0o2500, 0o1500, 0o2500]),
            ("u=X+x", [0o140, 0o150, 0o2155, 0o1177, 0o2175]),
            ("u=rwx+s", [0o4740, 0o4750, 0o6755, 0o5777, 0o6775]),
            ("u=rg", [0o440, 0o550, 0o2555, 0o1777, 0o2775]),
            ("u=xg", [0o440, 0o550, 0o2555, 0o1777, 0o2775]),
            ("u+xg", [0o740, 0o750, 0o6755, 0o1777, 0o2775]),
            ("u=gu", [0o440, 0o550, 0o6555, 0o1777, 0o2775]),
            ("ug+rw,o=", [0o660, 0o770, 0o6770, 0o1770, 0o2770]),
            ("00750", [0o750; 5]),
        ];
        for (text, wanted) in rows {
            let mode = Mode::parse(text).expect(text);
            let found = BEFORE.map(|(before, is_folder)| mode.of(before, is_folder));
            let octal = |modes: [u32; 5]| modes.map(|mode| format!("{mode:o}"));
            assert_eq!(octal(found), octal(wanted), "{text}");
        }
    }

    #[test]
    fn no_modes() {
        for text in [
            "", "8", "77777", "rwx", "u", "X", "u=q", "755,+x", "x+", "u+x,", ",u+x", "u x",
            "-755", "0o755",
        ] {
            let e = Mode::parse(text).expect_err(text);
            assert_eq!(e.kind(), ErrorKind::Invalid, "{text}");
        }
    }

    #[test]
    fn folders_on_the_way() {
        for (text, made) in [("666", 0o644), ("1777", 0o755), ("0", 0), ("u=", 0o755)] {
            assert_eq!(Mode::parse(text).unwrap().of_made(), made, "{text}");
        }
    }
}
