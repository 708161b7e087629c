//! Slots of a cluster on the move, as a tool moves them.

use redis::cmd;

use super::{Cluster, Server};

/// A slot of a cluster that moves.
#[derive(Debug)]
pub(crate) struct Slot<'a> {
    cluster: &'a Cluster,
    number: String,
    pub(crate) source: &'a Server,
    pub(crate) target: &'a Server,
}

impl<'a> Slot<'a> {
    /// That of a key; it is to move to the next node.
    pub(crate) fn of(cluster: &'a Cluster, key: &str) -> Self {
        let keyslot = cmd("CLUSTER").arg("KEYSLOT").arg(key).to_owned();
        let number: usize = keyslot.query(&mut cluster.nodes[0].client()).unwrap();
        // As `Cluster::start` has dealt them out.
        let at = (0..3).find(|n| number < 16384 * (n + 1) / 3).unwrap();
        let (source, target) = (&cluster.nodes[at], &cluster.nodes[(at + 1) % 3]);
        Self { cluster, number: number.to_string(), source, target }
    }

    pub(crate) fn ask(&self, server: &Server, words: &[&str]) -> redis::Value {
        cmd(words[0]).arg(&words[1..]).query(&mut server.client()).unwrap()
    }

    fn id(&self, server: &Server) -> String {
        redis::from_redis_value(self.ask(server, &["CLUSTER", "MYID"])).unwrap()
    }

    /// Those that are still where they were.
    pub(crate) fn keys(&self) -> Vec<String> {
        let words = ["CLUSTER", "GETKEYSINSLOT", &self.number, "100"];
        redis::from_redis_value(self.ask(self.source, &words)).unwrap()
    }

    pub(crate) fn begin_to_move(&self) {
        let [source, target] = [self.source, self.target].map(|node| self.id(node));
        self.ask(self.target, &["CLUSTER", "SETSLOT", &self.number, "IMPORTING", &source]);
        self.ask(self.source, &["CLUSTER", "SETSLOT", &self.number, "MIGRATING", &target]);
    }

    pub(crate) fn migrate(&self, key: &str) {
        let port = self.target.port().to_string();
        self.ask(self.source, &["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS", key]);
    }

    pub(crate) fn end_the_move(&self) {
        let target = self.id(self.target);
        for node in [self.target, self.source].into_iter().chain(&self.cluster.nodes) {
            self.ask(node, &["CLUSTER", "SETSLOT", &self.number, "NODE", &target]);
        }
    }

    /// All that is in it goes as well.
    pub(crate) fn moves(&self) {
        self.begin_to_move();
        self.keys().iter().for_each(|key| self.migrate(key));
        self.end_the_move();
    }
}
