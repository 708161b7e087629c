//! Whether the sentinels still name the master that we are connected to. One that was cut off from
//! them, or hung for a while, goes on answering as a master for some ten seconds after they have made
//! another one; what it says then is lost.

use std::{collections::HashMap, time::Duration};

use redis::{aio::MultiplexedConnection, cmd};
use tokio::time::timeout;

use crate::store::redis::connect::{Address, Connector};

/// They are asked this often.
pub(super) const ASK_EVERY: Duration = Duration::from_secs(1);

/// A connection to one of them.
#[derive(Debug, Default)]
pub(super) struct Sentinels(Option<MultiplexedConnection>);

impl Sentinels {
    /// The master that they name, if it is not `ours`. None that answers is no reason to leave a master.
    pub(super) async fn another_master(
        &mut self,
        connector: &Connector,
        ours: &Address,
    ) -> Option<Address> {
        let asked = timeout(connector.budget(), self.ask(connector)).await;
        let Some(other) = asked.ok().flatten() else {
            self.0 = None;
            return None;
        };
        if other == *ours {
            return None;
        }
        // One of them may know less than the others: whom would we be sent to?
        let named = timeout(connector.budget(), connector.named_master()).await.ok().flatten();
        named.filter(|named| named != ours)
    }

    async fn ask(&mut self, connector: &Connector) -> Option<Address> {
        let (connection, name) = match self.0.take() {
            Some(connection) => (connection, connector.master_name()?),
            None => connector.a_sentinel().await.ok()??,
        };
        let connection = self.0.insert(connection);
        // The one question about it that connecting asks as well: no further right is needed.
        let masters: Vec<HashMap<String, String>> =
            cmd("SENTINEL").arg("MASTERS").query_async(connection).await.ok()?;
        let master = masters.iter().find(|master| master.get("name") == Some(&name))?;
        Some((master.get("ip")?.clone(), master.get("port")?.parse().ok()?))
    }
}
