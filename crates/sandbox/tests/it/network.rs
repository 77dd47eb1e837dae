//! The network that a process sees, and how it is reached.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;

use kiln_sandbox::{Network, Outward};

use crate::cases;
use crate::harness::Outcome;
use crate::world::{World, lives, until};

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
    let listed: Vec<_> = std::fs::read_dir("/sys/class/net").unwrap().collect();
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
    let tun = std::fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/net/tun");
    let possible = tun.is_ok() && Path::new("/usr/bin/pasta").exists();
    let way = started.running.outward().unwrap();
    assert_eq!(way == Outward::Pasta, possible, "{way:?}");
    match way {
        Outward::Pasta => {
            assert_eq!(routes, "1");
            assert!(lives("pasta --foreground"));
        }
        Outward::Nothing { remedy } => {
            assert_eq!(routes, "0");
            assert!(remedy.contains("pasta"), "{remedy}");
        }
        other => panic!("{other:?}"),
    }
    started.running.signal(9).unwrap();
    started.running.wait().unwrap();
    assert!(!lives("pasta --foreground"), "it ends with the process");
    Ok(())
}
