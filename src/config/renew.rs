//! What a running gate takes over of a configuration that was read anew.

use crate::config::Config;

impl Config {
    /// This configuration, as far as a gate that runs with `running` can take it over: what only a
    /// restart can change is put back to what runs. Returns the keys of which that is so.
    pub fn keep_what_runs(&mut self, running: &Self) -> Vec<&'static str> {
        let mut kept = Vec::new();
        // One row per key: what is not `LIVE` in the table of keys stands here.
        macro_rules! keep {
            ($($key:literal: $field:ident),+ $(,)?) => {$(
                if self.$field != running.$field {
                    self.$field = running.$field.clone();
                    kept.push($key);
                }
            )+};
        }
        keep! {
            "grpc_addr": grpc_addr,
            "http_addr": http_addr,
            "admin_addr": admin_addr,
            "allow_insecure": allow_insecure,
            "store": store,
            "store_file": store_file,
            "store_timeout": store_timeout,
            "worker_threads": worker_threads,
            "change_log.age": change_log_age,
            "change_log.length": change_log_length,
            "privacy.key_file": privacy,
            "embedded.durability": durability,
            "redis.key_prefix": key_prefix,
            "redis.wait_replicas": wait_replicas,
            "redis.wait_timeout": wait_timeout,
            "webhook.body_limit": body_limit,
            "log.format": log_format,
            "otlp.endpoint": otlp_endpoint,
            "otlp.sample_ratio": otlp_sample_ratio,
            "drain.delay": drain_delay,
            "drain.timeout": drain_timeout,
            "limits.calls": limit_calls,
            "limits.batches": limit_batches,
            "limits.streams": limit_streams,
            "limits.webhooks": limit_webhooks,
            "limits.connections": limit_connections,
        }
        self.keep_tls(running, &mut kept);
        kept
    }

    /// A door that speaks TLS goes on to do so, with other files if they are given; one that does not
    /// cannot begin to.
    fn keep_tls(&mut self, running: &Self, kept: &mut Vec<&'static str>) {
        let doors = [
            ("grpc_tls.cert_file", &mut self.grpc_tls, &running.grpc_tls),
            ("http_tls.cert_file", &mut self.http_tls, &running.http_tls),
            ("admin_tls.cert_file", &mut self.admin_tls, &running.admin_tls),
        ];
        for (key, files, runs) in doors {
            if files.cert.is_some() != runs.cert.is_some() {
                files.clone_from(runs);
                kept.push(key);
            }
        }
    }
}
