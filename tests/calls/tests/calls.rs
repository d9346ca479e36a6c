//! Calls between registered users.

use std::time::Duration;

use calls::{Layout, Media, User, World};
use load::ua::{Cause, Event};

const LAYOUTS: [Layout; 2] = [Layout::OneProcess, Layout::ThreeProcesses];

fn ended(event: &Event) -> bool {
    matches!(event, Event::Ended { .. })
}

#[test]
fn a_call_is_set_up_and_ended_by_either_end() {
    for layout in LAYOUTS {
        for hangs_up in [0, 1] {
            let mut world = World::new(1, layout, Media::Direct, &[User::Aka, User::Digest]);
            world.register(&[0, 1]);
            let outgoing = world.call(0, 1);
            let incoming = world.established(0, 1);
            world.network.run_for(Duration::from_secs(5));
            let call = if hangs_up == 0 { outgoing } else { incoming };
            world.act(hangs_up, |agent, now| {
                agent.hang_up(now, call).expect("established")
            });
            world.expect(0, "ended", ended);
            world.expect(1, "ended", ended);
            world.assert_clean();
        }
    }
}

#[test]
fn a_refused_call_ends_with_the_status_of_the_callee() {
    for status in [302, 404, 480, 486, 488, 500, 503, 600, 603] {
        let mut world = World::new(
            2,
            Layout::OneProcess,
            Media::Direct,
            &[User::Aka, User::Aka],
        );
        world.register(&[0, 1]);
        world.policy(1, |policy| {
            policy.incoming = vec![load::ua::Step::Ring, load::ua::Step::Reject(status)];
        });
        world.call(0, 1);
        world.expect(0, "ended", |event| {
            matches!(event, Event::Ended { cause: Cause::Refused { status: got, .. }, .. }
                if *got == status)
        });
        world.assert_clean();
    }
}
