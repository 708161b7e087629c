//! The rulebook for tests that ask it without a store: as it is, or broken by the mutation check.

use std::cell::RefCell;

use callgate::store::lua::Vm;

/// Instructions after which a broken rulebook is taken never to end. No step of the sound one takes a
/// hundredth of it.
const PATIENCE: u32 = 20_000_000;

thread_local! {
    static BROKEN: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// An interpreter with the rulebook; within [`with_broken`] with the broken one.
pub fn vm() -> Vm {
    BROKEN.with_borrow(|broken| match broken {
        Some(text) => broken_vm(text).expect("it was loaded before"),
        None => Vm::new().expect("the rulebook compiles"),
    })
}

/// An interpreter with this text, or `None` if that does not load.
pub fn broken_vm(text: &str) -> Option<Vm> {
    Vm::with_rulebook(text, PATIENCE).ok()
}

/// Every [`vm`] that `body` asks for on this thread has this text.
pub fn with_broken<R>(text: &str, body: impl FnOnce() -> R) -> R {
    struct Mended;
    impl Drop for Mended {
        fn drop(&mut self) {
            BROKEN.set(None);
        }
    }
    BROKEN.set(Some(text.to_owned()));
    let _mended = Mended;
    body()
}
