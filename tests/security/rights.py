"""What each role may do, written out: the table that the one of the product is compared with."""

# Redis lets everybody send these.
ALWAYS = {"auth", "hello", "quit", "reset"}
SESSION = {"open_session", "close_session", "beat", "reconcile", "learn", "timeouts", "config", "tell"}
PULSE = {"publish", "samples", "judge"}
CONNECT = {"client|setname", "info", "ping", "publish", "wait", "cluster|slots", "command"}
INBOX = {"blpop", "lpop", "rpush", "expire"}
LOOK = {
    *("explain", "survey", "line", "events", "audit", "freezes", "dead", "gates", "samples"),
    *("timeouts", "handlers", "config", "holders", "held_by", "changes"),
}
SCRIPTS = {
    "producer": SESSION
    | PULSE
    | {"submit", "watch", "explain", "cancel", "reprioritise", "recall", "forget", "warm"}
    | {"similar", "index_text"},
    "worker": SESSION | PULSE | {"claim", "settle", "spare", "retain", "note_progress", "explain", "handlers"},
    "locker": SESSION
    | PULSE
    | {"request", "release", "hand_over", "extend", "cancel", "reprioritise", "watch", "explain", "gather", "line"}
    | {"held_by"},
    "observer": LOOK,
    "operator": {
        *LOOK,
        *("watch", "cancel", "reprioritise", "replay", "sweep", "define", "configure", "acknowledge", "set_breaker"),
        *("force", "transfer", "reorder", "freeze", "thaw", "let_pass"),
        *("audit_keys", "audit_request", "audit_resource"),
    },
    "loader": set[str](),
}
COMMANDS = {
    "producer": INBOX,
    "worker": INBOX,
    "locker": INBOX,
    "observer": {"xread"},
    "operator": {
        *("xread", "scan", "type", "get", "hget", "hlen", "hscan", "sscan", "zscan"),
        *("hdel", "unlink", "persist", "pexpire", "zadd"),
    },
    "loader": set[str](),
}
# What scripts do to the keys of their namespace. Nothing here reads or changes anything else of the server.
READS = {
    *("exists", "get", "hexists", "hget", "hgetall", "hkeys", "hlen", "hmget", "hrandfield", "hvals", "llen"),
    *("mget", "pttl", "zrandmember"),
    *("scard", "sismember", "smembers", "srandmember", "time", "type", "xrange", "xrevrange", "zcard", "zcount"),
    *(
        "zmscore",
        "zrange",
        "zrangebylex",
        "zrangebyscore",
        "zrank",
        "zrevrange",
        "zrevrangebyscore",
        "zscan",
        "zscore",
        "memory|usage",
        "xlen",
    ),
}
WRITES = {
    *("del", "hdel", "hincrby", "hset", "hsetnx", "lpop", "persist", "pexpire", "rpush", "sadd", "set", "spop"),
    *("srem", "xadd", "xtrim", "zadd", "zpopmin", "zrem", "zremrangebyscore", "unlink"),
}
