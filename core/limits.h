/* Every bound that perfwrap puts on what comes from outside, or keeps in memory, in one place. */
#ifndef PW_CORE_LIMITS_H
#define PW_CORE_LIMITS_H

enum {
    PW_LIMIT_WORKERS = 1024,             /* --concurrency */
    PW_LIMIT_ITERATIONS = 1000000,       /* --iterations, --warmup */
    PW_LIMIT_JSON_BYTES = 256 << 20,     /* a summary read from a file */
    PW_LIMIT_OUTPUT_TAIL_BYTES = 8192,   /* kept of each worker's stdout and of its stderr */
    PW_LIMIT_STDERR_TAIL_LINES = 5,      /* `stderr_tail` in iteration files (contract) */
    PW_LIMIT_TREE_PROCESSES = 131072,    /* processes of one worker's tree that are sampled */
    PW_LIMIT_KEPT_FDS_SHARE_PCT = 50,    /* of RLIMIT_NOFILE that the sampler may keep open */
    PW_LIMIT_ORPHANS_LISTED = 64,        /* orphans named in a run; further ones are counted */
    PW_LIMIT_WARNINGS = 64,              /* warnings in a summary */
    PW_LIMIT_BOOTSTRAP_RESAMPLES = 2000, /* for the interval of the median */
    PW_LIMIT_PATH_DEPTH = 16,            /* segments of a dotted name into a summary */
    PW_LIMIT_COMMAND_WORDS = 65536,      /* words of --cmd */
};

#endif
