//! The kernel's overlay as judge of a mount, at the level of system calls: see [`ovl_core::testing::kernel`]. Once with
//! redirects, once without.

use ovl_core::testing::{
    history::Op,
    kernel::{self, Ground, Judged, Portrait, histories, judge},
};

use crate::{
    in_private,
    place::{Mount, Place, stack},
};

#[test]
fn the_kernel_and_a_mount_agree_with_redirects() {
    in_private!();
    agree(true);
}

#[test]
fn the_kernel_and_a_mount_agree_without_redirects() {
    in_private!();
    agree(false);
}

fn agree(redirects: bool) {
    histories(150, |seed| {
        let place = Place::new();
        let ground = Ground { place: &place.path(""), redirects };
        judge(seed, ground, |lowers| place.mount(stack(&ground.upper(), lowers, redirects)));
    });
}

impl Judged for Mount {
    fn run(&self, op: &Op, _step: usize) -> Option<i32> {
        kernel::run(&self.path(""), op)
    }

    fn draw(&self) -> Portrait {
        kernel::draw(&self.path(""), false)
    }
}
