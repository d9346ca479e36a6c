//! Processes that end at once and start again with their state directory: what was registered is
//! still registered.

use calls::{Layout, Setup, User};

fn pair() -> Setup {
    Setup::new(&[User::Aka, User::Digest])
}

#[test]
fn after_a_p_cscf_restarts_its_telephones_call_and_are_called() {
    let mut world = pair().layout(Layout::ThreeProcesses).build();
    world.register(&[0, 1]);
    world.restart(world.pcscf);
    for (caller, callee) in [(0, 1), (1, 0)] {
        let call = world.call(caller, callee);
        world.established(caller, callee);
        world.hang_up(caller, call, callee);
    }
    world.assert_clean();
}
