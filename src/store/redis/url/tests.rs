use super::*;

fn read(url: &str) -> String {
    let target = Target::parse(url).unwrap();
    format!("{target} db {} {:?} {:?}", target.database, target.login, target.tls)
}

#[test]
fn every_form_is_read() {
    let all = [
        "redis://127.0.0.1",
        "redis://bot:p%40ss@redis.example:7000/2",
        "redis://:p@ss@[::1]:7000",
        "rediss://redis.example?ca=/etc/ca.pem&cert=/c.pem&key=/k.pem",
        "rediss://redis.example?insecure=true",
        "redis+unix:///run/redis.sock?db=3&user=bot&pass=secret",
        "unix:///run/redis.sock",
        "redis+sentinel://bot:pass@s1:26380,s2/mymaster/1?sentinel_pass=other",
        "rediss+sentinel://s1/mymaster?ca=/etc/ca.pem",
        "redis+cluster://n1:7000,n2:7001",
        "rediss+cluster://bot:pass@n1/0?ca=/etc/ca.pem",
    ]
    .map(read)
    .join("\n");
    insta::assert_snapshot!(all, @r#"
    redis://127.0.0.1:6379 db 0 Login { user: None, password: None } None
    redis://redis.example:7000 db 2 Login { user: Some("bot"), password: Some(…) } None
    redis://[::1]:7000 db 0 Login { user: None, password: Some(…) } None
    rediss://redis.example:6379 db 0 Login { user: None, password: None } Some(Tls { ca: Some("/etc/ca.pem"), client: Some(("/c.pem", "/k.pem")), insecure: false })
    rediss://redis.example:6379 db 0 Login { user: None, password: None } Some(Tls { ca: None, client: None, insecure: true })
    redis+unix:///run/redis.sock db 3 Login { user: Some("bot"), password: Some(…) } None
    redis+unix:///run/redis.sock db 0 Login { user: None, password: None } None
    redis+sentinel://s1:26380,s2:26379/mymaster db 1 Login { user: Some("bot"), password: Some(…) } None
    rediss+sentinel://s1:26379/mymaster db 0 Login { user: None, password: None } Some(Tls { ca: Some("/etc/ca.pem"), client: None, insecure: false })
    redis+cluster://n1:7000,n2:7001 db 0 Login { user: None, password: None } None
    rediss+cluster://n1:6379 db 0 Login { user: Some("bot"), password: Some(…) } Some(Tls { ca: Some("/etc/ca.pem"), client: None, insecure: false })
    "#);
}

#[test]
fn what_is_wrong_is_named_and_no_password_shown() {
    let all = [
        "127.0.0.1:6379",
        "redis",
        "http://h",
        "redis://",
        "redis://bot@h",
        "redis://:hunter2@h:port",
        "redis://:hunter2@h:0",
        "redis://:hunter2@h/zero",
        "redis://:hunter2@h?ca=/x",
        "redis://:hunter2@h1,h2",
        "redis://:%ff@h",
        "redis://bot:1?hunter2@h",
        "rediss://:hunter2@h?cert=/x",
        "rediss://:hunter2@h?insecure=yes",
        "rediss://:hunter2@h?cafile=/x",
        "redis+unix://run/redis.sock",
        "redis+sentinel://:hunter2@h1,h2",
        "redis+cluster://:hunter2@h1,,h2",
        "redis+cluster://:hunter2@h1/3",
    ]
    .map(|url| format!("{url}: {}", Target::parse(url).unwrap_err()))
    .join("\n");
    let messages: String =
        all.lines().filter_map(|line| line.split_once(": ")).map(|l| l.1).collect();
    assert!(!messages.contains("hunter2"));
    insta::assert_snapshot!(all, @r#"
    127.0.0.1:6379: store URL: "//" is missing after "127.0.0.1:"
    redis: store URL: there is no scheme, e.g. "redis://" in front
    http://h: store URL: the scheme "http" is not known: use redis, rediss, redis+unix, redis+sentinel, rediss+sentinel, redis+cluster or rediss+cluster
    redis://: store URL: a host is missing, e.g. redis://127.0.0.1:6379
    redis://bot@h: store URL: a user without a password: write user:password@, or :password@ for the default user
    redis://:hunter2@h:port: store URL: the port of h must be a number from 1 to 65535
    redis://:hunter2@h:0: store URL: the port of h must be a number from 1 to 65535
    redis://:hunter2@h/zero: store URL: the database must be a number, e.g. the 0 in redis://127.0.0.1:6379/0
    redis://:hunter2@h?ca=/x: store URL: redis:// takes no "ca=" (ca, cert, key and insecure belong to rediss)
    redis://:hunter2@h1,h2: store URL: several hosts are named: for Sentinel or Cluster use redis+sentinel:// or redis+cluster://
    redis://:%ff@h: store URL: the password is not UTF-8 once %-decoded
    redis://bot:1?hunter2@h: store URL: what follows "?" is not key=value; "?", "/" and "@" in a password must be written %3F, %2F and %40
    rediss://:hunter2@h?cert=/x: store URL: cert= is set, and its key= is missing
    rediss://:hunter2@h?insecure=yes: store URL: insecure= must be true or false
    rediss://:hunter2@h?cafile=/x: store URL: rediss:// takes no "cafile=": known are ca, cert, key, insecure
    redis+unix://run/redis.sock: store URL: a socket is named by its full path, e.g. redis+unix:///run/redis.sock, and user and password by ?user=…&pass=…
    redis+sentinel://:hunter2@h1,h2: store URL: the master's name is missing, e.g. redis+sentinel://host/mymaster
    redis+cluster://:hunter2@h1,,h2: store URL: a host is missing, e.g. redis://127.0.0.1:6379
    redis+cluster://:hunter2@h1/3: store URL: a cluster has only database 0: leave the path out
    "#);
}
