//! Instructions that a registration and a call take in each process, sockets and disk left out.
//!
//! `cargo bench -p calls --bench process_cost -- calls 200` runs the flows on virtual time.
//! Valgrind counts, and only within the process of interest:
//!
//! ```text
//! valgrind --tool=callgrind --toggle-collect='control::node::Node::handle_*' BENCH calls 200
//! valgrind --tool=callgrind --toggle-collect='mg::gateway::MediaGateway::handle_*' BENCH calls 200
//! ```
//!
//! The total over the number of flows is the cost of one; that of a flow's own message parsing and
//! of the gateway's compiler is in it, system calls are not. `registrations` are first ones: AKA,
//! 401 and 200, with the subscription of the P-CSCF; `refreshes` the same of users who are
//! registered. `calls` are from INVITE to BYE between two users of one process, media anchored; the
//! few registrations before refreshes and calls count little.

use std::time::Duration;

use calls::{Setup, User};

/// Telephones that a world has addresses for.
const USERS_MAX: usize = 140;

fn main() {
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
    let flow = words.next().unwrap_or_else(|| "calls".to_owned());
    let count = words.next().and_then(|word| word.parse().ok()).unwrap_or(2);
    match flow.as_str() {
        "registrations" => registrations(count),
        "refreshes" => refreshes(count),
        "calls" => calls(count),
        other => eprintln!("{other}: none of registrations, refreshes and calls"),
    }
}

fn registrations(count: usize) {
    let count = count.min(USERS_MAX);
    let mut world = Setup::new(&vec![User::Aka; count]).build();
    let phones: Vec<usize> = (0..count).collect();
    world.register(&phones);
    world.network.run_for(Duration::from_secs(1));
    println!("{count} registrations");
}

fn refreshes(count: usize) {
    let mut world = Setup::new(&[User::Aka; 4]).build();
    for round in 0..=count / 4 {
        world.register(&[0, 1, 2, 3]);
        if round == 0 {
            world.network.run_for(Duration::from_secs(1));
        }
    }
    println!("{count} refreshes");
}

fn calls(count: usize) {
    let mut world = Setup::new(&[User::Aka; 2]).anchored().build();
    world.register(&[0, 1]);
    for _ in 0..count {
        let call = world.call(0, 1);
        world.established(0, 1);
        world.hang_up(0, call, 1);
    }
    world.assert_clean();
    println!("{count} calls");
}
