//! The bare rulebook, without a store: its host must be strict, its text must stand alone.

use std::collections::HashMap;

use callgate::{
    engine::{
        Result,
        fact::{Fact, Reply as PermissionReply},
        pair::Pair,
        profile::Profile,
        step::{Command, Reply, Step},
        time::Millis,
    },
    store::lua::{Records, Vm},
};

#[derive(Default)]
struct Kept(HashMap<String, Vec<u8>>);

impl Records for Kept {
    fn load(&mut self, id: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.0.get(id).cloned())
    }
    fn save(&mut self, id: &str, bytes: Vec<u8>, _: Millis) -> Result<()> {
        self.0.insert(id.to_owned(), bytes);
        Ok(())
    }
    fn number(&mut self) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }
    fn erased(&mut self, _: &str) -> Result<Millis> {
        Ok(Millis::ZERO)
    }
}

fn apply(vm: &mut Vm, kept: &mut Kept, now: u64, command: Command) -> Reply {
    let pair = Pair::parse("800000000000001", "15550199001", "US.1000", "pair").unwrap();
    let profile = Profile::atom();
    let step = Step { pair: &pair, command, profile: &profile, now: Millis(now) };
    vm.step(&step, Millis(now), kept).unwrap()
}

fn authorize(id: &str) -> Command {
    Command::AuthorizeCall { own_id: id.to_owned(), lease: 0 }
}

fn accept(at: u64) -> Command {
    let reply = PermissionReply {
        accept: true,
        permanent: false,
        expires_at: Millis::ZERO,
        automatic: false,
        request_id: String::new(),
    };
    Command::Record { at: Millis(at), spelled: String::new(), fact: Fact::Reply(reply) }
}

#[test]
fn a_call_is_allowed_after_an_accept_and_not_before() {
    let (mut vm, mut kept, t) = (Vm::new().unwrap(), Kept::default(), 1_794_830_400_000);
    let reply = apply(&mut vm, &mut kept, t, authorize("c1"));
    assert_eq!((reply.decision, reply.reason, reply.next_step), (2, 10, 2), "{reply:?}");
    assert!(kept.0.is_empty(), "a denial leaves nothing");

    let reply = apply(&mut vm, &mut kept, t, accept(t));
    assert_eq!((reply.result, reply.view.status), (1, 3), "{reply:?}");
    let reply = apply(&mut vm, &mut kept, t + 1, authorize("c1"));
    assert_eq!((reply.decision, reply.reason), (1, 1), "{reply:?}");
    assert_eq!(reply.lease_expires_at, Millis(t + 1 + 90_000));
    assert_eq!(reply.view.quota_held[..2], [1, 1]);
    let again = apply(&mut vm, &mut kept, t + 2, authorize("c1"));
    assert_eq!((again.decision, again.replayed), (1, 1), "{again:?}");
    assert_eq!(again.lease_expires_at, Millis(t + 1 + 90_000));
}
