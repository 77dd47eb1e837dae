//! The network that a process sees, and how it is reached.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};

use kiln_sandbox::{Network, Outward};
use kiln_tests::harness::Outcome;

use crate::cases;
use crate::world::{World, until};

cases![
    the_hosts_network,
    a_network_of_its_own,
    dial_reaches_inside,
    dial_with_the_hosts_network,
    outward,
];

fn interfaces(world: &World, network: Network) -> String {
    let ran = world.sh_with("ls /sys/class/net; cat /proc/net/dev | grep -c :", |spec| {
        spec.network = network;
    });
    ran.unwrap().stdout
}

fn the_hosts_network(world: &World) -> Outcome {
    let listed: Vec<_> = fs::read_dir("/sys/class/net").unwrap().collect();
    let seen = interfaces(world, Network::Host);
    assert_eq!(seen.lines().count(), listed.len() + 1, "{seen}");
    Ok(())
}

fn a_network_of_its_own(world: &World) -> Outcome {
    assert_eq!(interfaces(world, Network::None), "lo\n1\n");
    let ran = world
        .sh_with("ip addr show lo | grep -c 127.0.0.1; cat /proc/sys/net/ipv4/ip_unprivileged_port_start", |spec| {
            spec.network = Network::None;
        })
        .unwrap();
    assert!(ran.stdout.starts_with("1\n"), "loopback is up: {ran:?}");
    Ok(())
}

fn dial_reaches_inside(world: &World) -> Outcome {
    // A port that is surely free outside, for it is bound and not listened to.
    let held = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = held.local_addr().unwrap().port();
    drop(held);
    let script = format!("echo hello > /tmp/index.html; exec httpd -f -p 127.0.0.1:{port} -h /tmp");
    let mut started = world.start(&script, |spec| spec.network = Network::None);
    let dialer = started.running.dialer();
    until("the server inside listens", || dialer.dial(port).is_ok());
    assert!(
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err(),
        "the host cannot"
    );
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let dialer = dialer.clone();
            std::thread::spawn(move || {
                let mut stream = dialer.dial(port).unwrap();
                stream
                    .write_all(b"GET /index.html HTTP/1.0\r\n\r\n")
                    .unwrap();
                let mut text = String::new();
                stream.read_to_string(&mut text).unwrap();
                assert!(text.ends_with("hello\n"), "{text}");
            })
        })
        .collect();
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    let refused = started.running.dial(1).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    started.running.signal(9).unwrap();
    started.running.wait().unwrap();
    assert!(dialer.dial(port).is_err(), "after the end");
    Ok(())
}

fn dial_with_the_hosts_network(world: &World) -> Outcome {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut started = world.start("echo ready; sleep 60", |_| {});
    started.line();
    assert!(
        started
            .running
            .dial(listener.local_addr().unwrap().port())
            .is_ok()
    );
    assert_eq!(started.running.outward(), None);
    Ok(())
}

/// Those beside a process: children of who watches it.
fn pastas(process: u32) -> Vec<PathBuf> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let parent = status
        .lines()
        .find_map(|line| line.strip_prefix("PPid:"))
        .unwrap()
        .trim();
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap();
    let process = |pid: &str| PathBuf::from(format!("/proc/{pid}"));
    let is_pasta = |process: &PathBuf| {
        fs::read_to_string(process.join("cmdline")).is_ok_and(|args| args.starts_with("pasta"))
    };
    children
        .split_whitespace()
        .map(process)
        .filter(is_pasta)
        .collect()
}

fn outward(world: &World) -> Outcome {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let script = format!(
        "ip route | grep -c ^default; nc 127.0.0.1 {port} </dev/null || echo refused; sleep 60"
    );
    let mut started = world.start(&script, |spec| spec.network = Network::Private);
    let routes = started.line();
    assert_eq!(
        started.line(),
        "refused",
        "the host's loopback is out of reach"
    );
    // On this machine by this user.
    let tun = fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/net/tun");
    let possible = tun.is_ok() && Path::new("/usr/bin/pasta").exists();
    let way = started.running.outward().unwrap();
    let pastas = pastas(started.running.pid());
    assert_eq!(way == Outward::Pasta, possible, "{way:?}");
    match way {
        Outward::Pasta => {
            assert_eq!(routes, "1");
            assert_eq!(pastas.len(), 1);
        }
        Outward::Nothing { remedy } => {
            assert_eq!(routes, "0");
            assert!(remedy.contains("pasta"), "{remedy}");
        }
        other => panic!("{other:?}"),
    }
    started.running.signal(9).unwrap();
    started.running.wait().unwrap();
    let left = pastas.iter().filter(|pasta| pasta.exists()).count();
    assert_eq!(left, 0, "it ends with the process");
    Ok(())
}
