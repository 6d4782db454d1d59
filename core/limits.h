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
    PW_LIMIT_PATH_LOOKUPS = 10000,       /* keys tried to resolve one */
    PW_LIMIT_COMMAND_WORDS = 65536,      /* words of --cmd */
    PW_LIMIT_OPTION_LIST = 256,          /* values of an option that may be repeated */
    PW_LIMIT_TEMPLATE_BYTES = 1 << 20,   /* a file that is the template of a worker's file */

    PW_LIMIT_INPUT_FILES = 200000,          /* summaries of one call */
    PW_LIMIT_FOLDER_DEPTH = 64,             /* folders within folders, looking for them */
    PW_LIMIT_EXPRESSION_BYTES = 4096,       /* one bound, as typed */
    PW_LIMIT_PROFILE_BYTES = 1 << 20,       /* a profile file */
    PW_LIMIT_PROFILE_BOUNDS = 1000,         /* of one profile, with what it extends */
    PW_LIMIT_PROFILE_EXTENDS = 8,           /* profiles behind one another */
    PW_LIMIT_INDEX_CACHE_BYTES = 256 << 20, /* the cache of an index */
    PW_LIMIT_INDEX_TEXT_BYTES = 4096,       /* of a name or a time in a summary, for an index */
    PW_LIMIT_INDEX_MOMENT_BYTES = 16384,    /* of a summary's marks and phases, for an index */
    PW_LIMIT_INDEX_GROUPS = 4096,           /* of one index */
    PW_LIMIT_INDEX_WINDOW = 1000,           /* runs of a group that count */
    PW_LIMIT_TRACK_BYTES = 16 << 20,        /* a tracking table */

    PW_LIMIT_COMMAND_LINE_BYTES = 131072, /* of a process's command line that is matched */
    PW_LIMIT_STEADY_SAMPLES = 100000,     /* of one call of `steady` */
    PW_LIMIT_FOOTPRINT_LISTED = 1000,     /* processes listed in one footprint */
    PW_LIMIT_FOOTPRINT_ITERATIONS = 5000, /* samples of `steady` that are in its summary */

    PW_LIMIT_TOOL_OUTPUT_BYTES = 16 << 20,   /* that is taken from a tool of others */
    PW_LIMIT_KERNEL_BYTES = 512 << 20,       /* a guest's kernel, unpacked */
    PW_LIMIT_MODULE_BYTES = 64 << 20,        /* one of its modules, unpacked */
    PW_LIMIT_INITRD_BYTES = 256 << 20,       /* a guest's first file system */
    PW_LIMIT_IMAGE_DOCUMENT_BYTES = 8 << 20, /* index, manifest or configuration of an image */
    PW_LIMIT_IMAGE_LAYERS = 256,             /* of one image */
    PW_LIMIT_IMAGE_ENTRIES = 4000000,        /* files in all its layers */
    PW_LIMIT_IMAGE_MIB = 65536,              /* of its files, in all */
    PW_LIMIT_IMAGE_SCRIPT_BYTES = 512 << 20, /* of what gives its files owners, if not root does */
    PW_LIMIT_IMAGE_VARIABLES = 4096,         /* of its environment */
    PW_LIMIT_IMAGE_DEPTH = 128,              /* folders within folders */
    PW_LIMIT_IMAGE_INDEXES = 4,              /* indexes within indexes */
    PW_LIMIT_MACHINES = 1024,                /* that are left running */
    PW_LIMIT_QMP_LINE_BYTES = 1 << 20,       /* an answer of a machine monitor */
    PW_LIMIT_MACHINE_FILE_BYTES = 1 << 20,   /* what is noted of one */

    PW_LIMIT_MOMENTS = 32,           /* --mark */
    PW_LIMIT_MOMENT_NAME = 64,       /* bytes of a mark's name */
    PW_LIMIT_MARK_LINE_BYTES = 8192, /* of a line of output that is matched */
    PW_LIMIT_MARK_MATCH_MS = 1000,   /* matching slowly a worker's lines of one stream */

    /* OTLP, as it comes in */
    PW_LIMIT_OTLP_BODY_BYTES = 64 << 20,       /* of one request, before and after decompression */
    PW_LIMIT_OTLP_DECODED_BYTES = 512 << 20,   /* memory that one decoded request may take */
    PW_LIMIT_OTLP_HELD_BYTES = 512 << 20,      /* of bodies, being received or waiting, of all */
    PW_LIMIT_OTLP_HELD_BYTES_ONE = 160 << 20,  /* of these, of one worker */
    PW_LIMIT_OTLP_QUEUED_PAYLOADS = 16384,     /* answered, waiting to be decoded */
    PW_LIMIT_OTLP_QUEUED_BYTES_ONE = 32 << 20, /* of these, of one worker; one may be larger */
    PW_LIMIT_OTLP_DEPTH = 64,                  /* messages within messages, JSON within JSON */
    /* A body over it, inflated, is checked by a thread that makes nobody else wait. */
    PW_LIMIT_OTLP_CHECK_HERE_BYTES = 256 << 10,
    PW_LIMIT_OTLP_CONNECTIONS = 4096,      /* three of each worker, and some */
    PW_LIMIT_OTLP_IDLE_SEC = 60,           /* a connection without any traffic is closed */
    PW_LIMIT_OTLP_REQUEST_SEC = 30,        /* a request whose sender lets it pass is closed */
    PW_LIMIT_OTLP_REQUEST_BYTES = 2 << 20, /* of a longer request, in each such time */
    PW_LIMIT_OTLP_BUSY_WAIT_MS = 2000,     /* a request waits so long for room, then: 503 */
    PW_LIMIT_OTLP_FLUSH_CAP_MS =
        2000, /* longest wait after a worker's end, see --otel-flush-wait-ms */
    PW_LIMIT_OTLP_ENDPOINTS = 8192, /* workers whose late payloads can still be told apart */

    /* OTLP, as it is kept, of one worker */
    PW_LIMIT_OTEL_SERIES = 20000,          /* metric series */
    PW_LIMIT_OTEL_SERIES_BYTES = 64 << 20, /* memory of their identities and buckets */
    PW_LIMIT_OTEL_ATTRIBUTES = 128,        /* of one point, span or record */
    PW_LIMIT_OTEL_SPANS = 100000,          /* spans, for self times */
    PW_LIMIT_OTEL_NAMES = 1000,            /* names of spans, of actions */
    PW_LIMIT_OTEL_NAME_BYTES = 256,        /* kept of a name */
    PW_LIMIT_OTEL_STARTS = 64,             /* start times of a cumulative series told apart */
    PW_LIMIT_OTEL_SETS = 16,               /* attribute sets listed of a metric */
    PW_LIMIT_OTEL_SET_BYTES = 4096,        /* of a listed set's attributes, as JSON */
    PW_LIMIT_OTEL_DURATIONS = 10000,       /* kept of one name, for percentiles */
    PW_LIMIT_OTEL_LISTED = 50000,          /* metrics and actions in runs[] of one summary */
    PW_LIMIT_HISTOGRAM_BUCKETS = 4096,     /* of one histogram's range */

    /* The kernel's own account of one worker */
    PW_LIMIT_KERNEL_PROCESSES = 131072,     /* of its tree, kept */
    PW_LIMIT_KERNEL_PROCESSES_LISTED = 256, /* of these in its iteration's document */
    PW_LIMIT_KERNEL_REMOTES = 64,           /* TCP endpoints */
    PW_LIMIT_KERNEL_SYSCALLS = 32,          /* kinds of system calls listed */
    PW_LIMIT_KERNEL_THREADS = 32768,        /* tracked at once, of all workers */
    PW_LIMIT_KERNEL_LISTED = 20000,         /* processes in runs[] of one summary */

    /* A CPU profile */
    PW_LIMIT_PROFILE_FRAMES = 131072,   /* functions told apart */
    PW_LIMIT_PROFILE_STACKS = 131072,   /* likewise, of stacks */
    PW_LIMIT_PROFILE_PROCESSES = 4096,  /* likewise, of command names */
    PW_LIMIT_PROFILE_DEPTH = 512,       /* frames kept of one stack, from its leaf */
    PW_LIMIT_PROFILE_NAME_BYTES = 1024, /* kept of a name */

    /* Samples of CPUs before they have names, of one worker */
    PW_LIMIT_SAMPLED_DEPTH = 127,      /* frames of one sample (kernel.perf_event_max_stack) */
    PW_LIMIT_SAMPLED_STACKS = 262144,  /* told apart by their addresses */
    PW_LIMIT_SAMPLED_FRAMES = 1 << 20, /* likewise */
    PW_LIMIT_SAMPLED_MAPS = 65536,     /* executable pieces of one address space */
    PW_LIMIT_SAMPLED_OBJECTS = 65536,  /* files and anonymous pieces that are mapped */

    /* What memory consists of, at one moment */
    PW_LIMIT_MAPPING_NAMES = 65536,        /* of mappings, told apart */
    PW_LIMIT_MAPPING_NAME_BYTES = 8 << 20, /* of all of them */
    PW_LIMIT_SMAPS_BYTES = 64 << 20,       /* of the texts that are read for it */
    PW_LIMIT_MAPPED_PROCESSES = 4096,      /* of one tree that are read for it */

    /* Symbols of what was measured */
    PW_LIMIT_SYMBOL_OBJECTS = 4096,            /* files and perf maps that are read */
    PW_LIMIT_SYMBOL_PROCESSES = 65536,         /* whose root is remembered */
    PW_LIMIT_SYMBOL_FILE_BYTES = 1 << 30,      /* of one file */
    PW_LIMIT_SYMBOL_SECTION_BYTES = 256 << 20, /* of a table in it */
    PW_LIMIT_SYMBOL_MAP_BYTES = 64 << 20,      /* of a perf map, of /proc/kallsyms */
    PW_LIMIT_SYMBOL_HELD_BYTES = 1 << 30,      /* of all tables; then there are no further ones */
    PW_LIMIT_SYMBOLS = 4 << 20,                /* of one object */
    PW_LIMIT_SYMBOL_NAME_BYTES = 4096,         /* kept of a name */
};

#endif
