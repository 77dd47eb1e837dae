//! By which command this distribution installs what a host may lack. It executes nothing.

use std::fs;

/// Families of distributions, the manager of packages of each, and the packages.
struct Family {
    names: &'static [&'static str],
    manager: &'static str,
    newuidmap: &'static str,
    pasta: &'static str,
    qemu: &'static str,
}

const FAMILIES: &[Family] = &[
    Family {
        names: &["debian", "ubuntu"],
        manager: "apt-get install",
        newuidmap: "uidmap",
        pasta: "passt",
        qemu: "qemu-user-static binfmt-support",
    },
    Family {
        names: &["fedora", "rhel", "centos"],
        manager: "dnf install",
        newuidmap: "shadow-utils",
        pasta: "passt",
        qemu: "qemu-user-static",
    },
    Family {
        names: &["arch"],
        manager: "pacman -S",
        newuidmap: "shadow",
        pasta: "passt",
        qemu: "qemu-user-static qemu-user-static-binfmt",
    },
    Family {
        names: &["alpine"],
        manager: "apk add",
        newuidmap: "shadow-subids",
        pasta: "passt",
        qemu: "qemu-openrc",
    },
    Family {
        names: &["suse", "opensuse"],
        manager: "zypper install",
        newuidmap: "shadow",
        pasta: "passt",
        qemu: "qemu-linux-user",
    },
];

/// The command that installs `what`: `newuidmap`, `pasta` or `qemu`.
pub(crate) fn install(what: &str) -> String {
    let release = fs::read_to_string("/etc/os-release")
        .or_else(|_| fs::read_to_string("/usr/lib/os-release"));
    install_on(&release.unwrap_or_default(), what)
}

fn install_on(release: &str, what: &str) -> String {
    let ids: Vec<&str> = release
        .lines()
        .filter_map(|line| {
            line.strip_prefix("ID=")
                .or_else(|| line.strip_prefix("ID_LIKE="))
        })
        .flat_map(|value| value.trim_matches(['"', '\'']).split_whitespace())
        .collect();
    let family = FAMILIES
        .iter()
        .find(|family| ids.iter().any(|id| family.names.contains(id)));
    let package = |family: &Family| match what {
        "newuidmap" => family.newuidmap,
        "pasta" => family.pasta,
        _ => family.qemu,
    };
    match family {
        Some(family) => format!("{} {}", family.manager, package(family)),
        None => format!("install `{}`", package(&FAMILIES[0])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_by_distribution() {
        for (release, what, expected) in [
            ("NAME=x\nID=debian\n", "newuidmap", "apt-get install uidmap"),
            (
                "ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n",
                "pasta",
                "apt-get install passt",
            ),
            (
                "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n",
                "newuidmap",
                "dnf install shadow-utils",
            ),
            ("ID=alpine\n", "newuidmap", "apk add shadow-subids"),
            ("", "pasta", "install `passt`"),
        ] {
            assert_eq!(install_on(release, what), expected);
        }
    }
}
