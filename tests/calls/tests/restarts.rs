//! Processes that end at once and start again with their state directory: what was registered is
//! still registered.

use std::time::Duration;

use base::Entropy;
use calls::{Layout, Setup, User, World, everywhere};
use load::ua::Event;
use sim::NodeId;

fn pair() -> Setup {
    Setup::new(&[User::Aka, User::Digest])
}

/// Each process once.
fn processes(world: &World) -> Vec<NodeId> {
    let mut nodes = vec![world.pcscf, world.scscf, world.hss];
    nodes.dedup();
    nodes
}

/// Contacts at the S-CSCF and the P-CSCF, subscriptions at both.
fn counts(world: &World) -> [usize; 4] {
    let now = world.network.now();
    let serving = world.control(world.scscf).status(now);
    let access = world.control(world.pcscf).status(now);
    [
        serving.contacts,
        access.access_registrations,
        serving.subscriptions,
        access.access_subscriptions,
    ]
}

fn call_and_hang_up(world: &mut World, caller: usize, callee: usize) {
    let call = world.call(caller, callee);
    world.established(caller, callee);
    world.hang_up(caller, call, callee);
}

fn deregister(world: &mut World, phone: usize) {
    world.act(phone, |agent, now| {
        agent.deregister(now).expect("registered")
    });
    world.expect(phone, "deregistered", |event| *event == Event::Deregistered);
}

#[test]
fn after_any_process_restarts_telephones_call_and_are_called() {
    everywhere(&pair(), |world| {
        world.register(&[0, 1]);
        world.network.run_for(Duration::from_secs(10));
        for node in processes(world) {
            world.restart(node);
            // Diameter connections come up again.
            world.network.run_for(Duration::from_secs(40));
            assert_eq!(counts(world), [2; 4]);
            call_and_hang_up(world, 0, 1);
            call_and_hang_up(world, 1, 0);
        }
        let made = world.serving_counter("subscription.accepted");
        assert_eq!(made, 0, "those of before go on");
        deregister(world, 0);
        world.network.run_for(Duration::from_secs(60));
        assert_eq!(counts(world), [1; 4]);
    });
}

#[test]
fn subscriptions_and_registrations_are_refreshed_across_restarts() {
    everywhere(&pair(), |world| {
        world.register(&[0, 1]);
        for _ in 0..4 {
            for node in processes(world) {
                world.restart(node);
                world.network.run_for(Duration::from_secs(700));
                assert_eq!(counts(world), [2; 4]);
            }
        }
        let lost = world.serving_counter("subscription.lost");
        let refused = world.counter("subscription.refused");
        assert_eq!((lost, refused), (0, 0));
        call_and_hang_up(world, 0, 1);
        deregister(world, 1);
        world.network.run_for(Duration::from_secs(60));
        assert_eq!(counts(world), [1; 4]);
    });
}

#[test]
fn processes_restart_at_random_points_of_registrations() {
    const PHONES: usize = 4;
    for layout in Layout::ALL {
        for seed in sim::seeds(4) {
            eprintln!("{layout:?}, seed {seed}");
            let users = [User::Aka, User::Digest, User::Aka, User::Digest];
            let mut setup = Setup::new(&users).layout(layout);
            setup.seed = seed;
            let mut world = setup.build();
            let mut entropy = Entropy::from_u64(seed);
            let mut below = |limit: usize| entropy.next_u64() as usize % limit;
            for _ in 0..30 {
                let phone = below(PHONES);
                let leaves = below(4) == 0;
                // Refused while another is under way.
                world.act(phone, |agent, now| match leaves {
                    true => drop(agent.deregister(now)),
                    false => drop(agent.register(now)),
                });
                let wait = below(60);
                world.network.run_for(Duration::from_millis(wait as u64));
                if below(2) == 0 {
                    let nodes = processes(&world);
                    world.restart(nodes[below(nodes.len())]);
                }
                let wait = below(3000);
                world.network.run_for(Duration::from_millis(wait as u64));
            }
            // What was under way ends, by timers where need be.
            world.network.run_for(Duration::from_secs(400));
            let is_on = |world: &World, phone| world.phone(phone).phone().agent().is_registered();
            let on: Vec<usize> = (0..PHONES).filter(|&phone| is_on(&world, phone)).collect();
            eprintln!("registered: {on:?}");
            for (&caller, &callee) in on.iter().zip(on.iter().skip(1)) {
                call_and_hang_up(&mut world, caller, callee);
                call_and_hang_up(&mut world, callee, caller);
            }
            let all: Vec<usize> = (0..PHONES).collect();
            world.register(&all);
            for phone in all {
                deregister(&mut world, phone);
            }
            world.network.run_for(Duration::from_secs(150));
            assert_eq!(counts(&world), [0; 4]);
            world.assert_clean();
        }
    }
}
