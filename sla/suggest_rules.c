/* The own rules and their thresholds, as data. */
#include "sla/suggest_impl.h"

const struct pw_threshold pw_thresholds[PW_THRESHOLD_COUNT] = {
    [PW_LEAST_MS] = {"least_ms", 20, "ms",
                     "Of shorter runs, starting the program and the grain of the kernel's clocks "
                     "make every share, whatever the program does."},
    [PW_CPU_BOUND_PCT] = {"cpu_bound_pct", 90, "%",
                          "The rest is less than what starting and ending a process takes: waiting "
                          "less would gain at most a tenth."},
    [PW_WAITING_PCT] = {"waiting_pct", 20, "%",
                        "With four fifths of the time spent waiting, code twice as fast gains at "
                        "most a tenth."},
    [PW_PREEMPTIONS_PER_CPU_SEC] =
        {"preemptions_per_cpu_sec", 150, "",
         "The scheduler gives a task some 3 ms before the next one's turn: programs that share a "
         "core lose it about 300 times for each second of CPU time, alone on a core 5 to 100 "
         "times."},
    [PW_PREEMPTIONS_LEAST] = {"preemptions_least", 20, "",
                              "A handful of switches comes from starting up."},
    [PW_RUNQ_PCT] = {"runq_pct", 10, "%",
                     "Where the kernel measured it there is nothing to infer; a tenth of the time "
                     "is what fewer programs at once would give back."},
    [PW_EXIT_TAIL_PCT] = {"exit_tail_pct", 10, "%",
                          "Ending a process takes some 0.1 ms, and 1 ms for each 10 MiB or so of "
                          "its memory."},
    [PW_STORAGE_MIB_PER_SEC] = {"storage_mib_per_sec", 10, "MiB/s",
                                "A disk that turns, or a network volume, is then busy for a good "
                                "part of the time; for a local flash disk it is little, so this "
                                "is told, not blamed."},
    [PW_STORAGE_LEAST_MIB] = {"storage_least_mib", 1, "MiB",
                              "Less is read by starting a program whose file is not in the cache."},
    [PW_MAJOR_FAULTS] = {"major_faults_least", 10, "",
                         "Each waits for a device: 0.1 ms on flash, 10 ms on a disk that turns."},
    [PW_TREND_ITERATIONS] = {"trend_iterations", 10, "",
                             "From fewer, a few odd values at one end look like a trend."},
    [PW_TREND_P] =
        {"trend_p", 0.01, "",
         "Mann-Kendall: without any trend, one run in a hundred looks like this, half of "
         "these as growth; at 0.05, with several metrics, it would be heard too often."},
    [PW_TREND_SURE_P] =
        {"trend_sure_p", 0.001, "",
         "Several metrics are looked at: one of them passes at 0.01 by chance in the end."},
    [PW_TREND_GROWTH_PCT] = {"trend_growth_pct", 5, "%",
                             "Over the whole run, and above the metric's noise floor: less is "
                             "rarely worth a search."},
    [PW_FOOTPRINT_GROWTH_PCT] = {"footprint_growth_pct", 20, "%",
                                 "By the middle of its life most programs have what they need; "
                                 "one that still grows by a fifth may never stop."},
    [PW_MEMORY_SHARE_PCT] = {"memory_share_pct", 80, "%",
                             "Beyond it the kernel drops caches and swaps, and other programs' "
                             "moves decide who is killed."},
    [PW_SPAWN_PCT] = {"spawn_pct", 20, "%",
                      "A fifth of the time before the program's first own instruction."},
    [PW_COLLECT_PCT] = {"collect_pct", 5, "%",
                        "More than the 3 % that comparisons take for no difference."},
    [PW_OBSERVE_PCT] = {"observe_pct", 5, "%",
                        "More than the 3 % that comparisons take for no difference."},
    [PW_NOISE_PCT] = {"noise_pct", 10, "%",
                      "Of the median, as 1.4826 MAD, the robust standard deviation. A change of 10 "
                      "% then drowns unless there are some dozens of runs."},
    [PW_NOISE_RUNS] = {"noise_runs", 10, "", "The spread of fewer is itself a guess."},
    [PW_TAIL_RATIO] =
        {"tail_ratio", 3, "",
         "p99 over p50: beyond what noise of one kind does; something happens in some "
         "runs only."},
    [PW_TAIL_RUNS] = {"tail_runs", 20, "", "p99 of fewer is the one slowest run."},
    [PW_STRAGGLER_RATIO] =
        {"straggler_ratio", 1.5, "",
         "Half as long again as a usual worker: the others' cores are idle for a "
         "third of the time."},
    [PW_ACTION_PCT] = {"action_pct", 20, "%", "Of the run time: worth looking at first."},
    [PW_SPAN_PCT] = {"span_pct", 20, "%", "Of the run time: worth looking at first."},
    [PW_HOT_FRAME_PCT] = {"hot_frame_pct", 20, "%", "Of the sampled time of the frames listed."},
};

/* Advice and next commands that several rows share. */
#define SHOW "perfwrap show --format md {summary}"
#define LOOK_AT_STDERR "grep stderr_tail {summary}"
#define AGAIN_WARM "perfwrap --warmup 1 --until-ci 2 -- {command}"

const struct pw_rule pw_rules[] = {
    {"failure_timeout", PW_SUGGEST_RED, "runs[].worker_results[].termination, return_code",
     "a worker was ended at its deadline (return code 124)",
     "Find out what it waited for: the last lines of its standard error come first. If it only "
     "needs longer, raise --timeout-sec.",
     "strace -f -tt -- {command}", pw_judge_failure, PW_FAILURE_TIMEOUT},
    {"failure_killed", PW_SUGGEST_RED, "runs[].worker_results[].termination, return_code",
     "a worker was ended by SIGKILL (return code 137) that perfwrap did not send",
     "Mostly the kernel's out-of-memory killer, or a memory limit of the container: compare the "
     "peak of memory with what there is, and look into the kernel's log.",
     "dmesg --level=err,warn | grep -i -E 'oom|killed process'", pw_judge_failure,
     PW_FAILURE_KILLED},
    {"failure_crashed", PW_SUGGEST_RED, "runs[].worker_results[].termination, return_code",
     "a worker was ended by SIGSEGV, SIGABRT, SIGBUS, SIGILL, SIGFPE, SIGTRAP or SIGSYS",
     "A defect of the program: run it under a debugger, or built with AddressSanitizer.",
     "gdb -batch -ex run -ex bt --args {command}", pw_judge_failure, PW_FAILURE_CRASHED},
    {"failure_signaled", PW_SUGGEST_RED, "runs[].worker_results[].termination, return_code",
     "a worker was ended by another signal that perfwrap did not send",
     "Somebody ended it: a supervisor, a service manager, a closed pipe (SIGPIPE) or terminal.",
     LOOK_AT_STDERR, pw_judge_failure, PW_FAILURE_SIGNALED},
    {"failure_not_run", PW_SUGGEST_RED, "runs[].worker_results[].return_code",
     "a worker returned 126 or 127, as a shell does for a command that it cannot execute or find",
     "Look at PATH and at what the command calls; the numbers are those of a shell that gave up.",
     LOOK_AT_STDERR, pw_judge_failure, PW_FAILURE_NOT_RUN},
    {"failure_lost", PW_SUGGEST_RED, "runs[].worker_results[].termination",
     "a worker's warden died, so what it returned is not known",
     "Something kills processes of this machine, mostly for lack of memory; such runs say nothing.",
     "dmesg --level=err,warn | grep -i -E 'oom|killed process'", pw_judge_failure, PW_FAILURE_LOST},
    {"failure_returned", PW_SUGGEST_RED, "runs[].worker_results[].return_code",
     "a worker returned something else than 0",
     "Read its last lines of standard error first; tell a wrong set-up (authentication, network, "
     "a missing file) from a failure at run time. Where such an exit is fine, say so with "
     "--ignore-failure.",
     LOOK_AT_STDERR, pw_judge_failure, PW_FAILURE_RETURNED},

    {"boots_failed", PW_SUGGEST_RED, "verdicts, runs[].worker_results[].verdict_detail",
     "a virtual machine did not come to its command's result, or the command failed",
     "verdict_detail says why: the console's last lines of a panic, the phase in which a timeout "
     "came, what the monitor said. A boot that hangs in `kernel` has mostly no working clock or "
     "accelerator.",
     "grep -A1 '\"verdict\"' {summary}", pw_judge_boots_failed, 0},

    {"orphans", PW_SUGGEST_YELLOW, "warnings[orphans]",
     "processes outlived the command that started them",
     "The command should wait for what it starts. What lives on disturbs the next iteration.",
     "strace -f -e trace=process -- {command}", pw_judge_run_warning, 0},
    {"cpu_bound", PW_SUGGEST_INFO, "user_cpu_sec, system_cpu_sec, worker_latency_ms",
     "a worker used at least {cpu_bound_pct} of one core but not two, for at least {least_ms}, "
     "where more cores are usable and workers at once leave some idle",
     "The time is the program's own computing on one core: find the hottest functions, or spread "
     "the work over more cores.",
     "perf record -g -- {command}", pw_judge_cpu_bound, 0},
    {"cpu_saturated", PW_SUGGEST_YELLOW,
     "user_cpu_sec, system_cpu_sec, latency_ms, environment.cpu_allowed",
     "all workers at once used at least {cpu_bound_pct} of all usable cores, for at least "
     "{least_ms}",
     "More workers at once only make each slower: lower --concurrency, or the CPU time of each.",
     "perf record -g -- {command}", pw_judge_cpu_saturated, 0},
    {"run_queue_wait", PW_SUGGEST_YELLOW,
     "kernel.wall.runq_ms, involuntary_ctx_switches, user_cpu_sec, system_cpu_sec, "
     "profile.concurrency, environment.load_1m",
     "for at least {runq_pct} of the time a worker could have run and had no core, of at least "
     "{least_ms}; where the kernel did not measure that: workers lost the CPU at least "
     "{preemptions_per_cpu_sec} times for each second of CPU time, and at least {preemptions_least} "
     "times each, while more threads or load than usable cores were there, which is inferred",
     "They waited for a core: run fewer at once, close other programs, or pin them to cores of "
     "their own.",
     "perf sched record -- {command}", pw_judge_run_queue, 0},
    {"mostly_waiting", PW_SUGGEST_INFO, "user_cpu_sec, system_cpu_sec, worker_latency_ms",
     "a worker's CPU time is at most {waiting_pct} of its duration, of at least {least_ms}, and "
     "run_queue_wait does not fire",
     "Faster code will not help much: look at what it waits for (network, locks, timers, disks, "
     "children).",
     "strace -f -c -w -- {command}", pw_judge_waiting, 0},
    {"exit_tail", PW_SUGGEST_YELLOW, "kernel.wall.exit_tail_ms",
     "at least {exit_tail_pct} of a duration, of at least {least_ms}, lay between the exit of the "
     "worker's process and its end",
     "Its memory is given back, or threads of it end late: map less, use huge pages, and do not "
     "wait for threads that have nothing left to do.",
     "perf record -a -g -- {command}", pw_judge_exit_tail, 0},
    {"storage_io", PW_SUGGEST_INFO,
     "process_io.read_bytes, process_io.write_bytes, worker_latency_ms",
     "a worker moved at least {storage_least_mib} from or to storage, at {storage_mib_per_sec} or "
     "more",
     "Compare a warm with a cold cache, and look for files that are read or written again and "
     "again.",
     "strace -f -e trace=%file,read,write,fsync -c -- {command}", pw_judge_storage, 0},
    {"major_faults", PW_SUGGEST_YELLOW, "major_page_faults",
     "a worker waited for a device at least {major_faults_least} times because a page was not in "
     "memory (mean)",
     "Either the program's files were not in the cache (add --warmup 1), or memory is short and it "
     "swaps.",
     "perf trace -F maj --no-syscalls -- {command}", pw_judge_major_faults, 0},

    {"memory_growth", PW_SUGGEST_YELLOW,
     "max_rss_mb, process_tree_sampled.peak_tree_rss_mb over runs[]",
     "the iterations need more and more memory: at least {trend_iterations} iterations, "
     "Mann-Kendall p <= {trend_p}, and the Theil-Sen slope makes at least {trend_growth_pct} and "
     "more than the metric's noise floor over the run (above p = {trend_sure_p} confidence is at most medium)",
     "Each iteration is a process of its own, so what grows is kept outside: a cache, history or "
     "log file that each run reads, or shared memory.",
     "perfwrap --pss --vmmap-snapshots -n 30 -- {command}", pw_judge_growth, PW_GROWING_MEMORY},
    {"descriptor_growth", PW_SUGGEST_YELLOW, "peak_open_fds over runs[]",
     "as memory_growth, of open descriptors",
     "Look at what the later iterations have open that the first had not: one more file, socket or "
     "watch for each earlier run; and set close-on-exec.",
     "strace -f -e trace=open,openat,socket,close -- {command}", pw_judge_growth,
     PW_GROWING_DESCRIPTORS},
    {"latency_drift", PW_SUGGEST_YELLOW, "latency_ms over runs[]",
     "as memory_growth, of the duration",
     "Later iterations are slower: something piles up (files, caches, a database), or the machine "
     "slows down (heat, a burst budget that ends). With --prepare each begins alike; then only the "
     "machine is left.",
     "perfwrap --prepare 'sleep 1' -n 30 -- {command}", pw_judge_growth, PW_GROWING_LATENCY},
    {"footprint_growth", PW_SUGGEST_INFO,
     "vmmap_snapshots.mid_physical_footprint_mb, end_physical_footprint_mb",
     "between the middle and the end of its life the tree grew by at least {footprint_growth_pct} "
     "and more than the noise floor",
     "If longer work makes it grow further, look for buffers that are kept and caches without a "
     "bound.",
     "heaptrack {command}", pw_judge_footprint, 0},
    {"memory_pressure", PW_SUGGEST_YELLOW,
     "process_tree_sampled.peak_tree_rss_mb, environment.memory_available_mb",
     "all workers at once need at least {memory_share_pct} of the memory that was available "
     "before the run",
     "Run fewer at once, or on a machine with more memory: close to the limit times depend on what "
     "else runs.",
     "perfwrap --pss -- {command}", pw_judge_memory_pressure, 0},

    {"spawn_cost", PW_SUGGEST_YELLOW, "worker_step_timings_ms.spawn_proc, worker_latency_ms",
     "starting a worker took at least {spawn_pct} of its duration",
     "Do more work in each process (pooled or resident workers, less starting and ending), and link "
     "fewer libraries.",
     "strace -c -f -- {command}", pw_judge_spawn, 0},
    {"slow_first_run", PW_SUGGEST_INFO, "warnings[slow_first_run]",
     "the first iteration, or the first of the warm-up, took 1.5 times the median and 5 ms longer",
     "Caches were cold. If cold starts matter, measure them by themselves; if not, keep them out "
     "with --warmup 1.",
     "perfwrap --warmup 0 --prepare 'COMMAND THAT EMPTIES THE CACHES' -- {command}",
     pw_judge_run_warning, 0},
    {"stragglers", PW_SUGGEST_INFO, "latency_ms, worker_latency_ms, profile.concurrency",
     "the batch of several workers lasted at least {straggler_ratio} times the median worker (and "
     "{least_ms})",
     "One slow worker holds up the batch: spread the work evenly, or see what the slow one waits "
     "for.",
     SHOW, pw_judge_stragglers, 0},
    {"slow_tail", PW_SUGGEST_YELLOW, "worker_latency_ms",
     "p99 is at least {tail_ratio} times the median, of at least {tail_runs} successful runs",
     "Something happens in some runs only: a retry, a lock, a cold cache, a garbage collection. "
     "Compare the slowest iteration's file with a usual one.",
     SHOW, pw_judge_tail, 0},
    {"noisy_runs", PW_SUGGEST_YELLOW, "worker_latency_ms",
     "1.4826 MAD is at least {noise_pct} of the median, of at least {noise_runs} successful runs",
     "Small changes cannot be seen in this. Quiet the machine, pin the CPU frequency, and measure "
     "until the median is known well enough.",
     AGAIN_WARM, pw_judge_noise, 0},
    {"outliers", PW_SUGGEST_YELLOW, "warnings[outliers]",
     "iterations lie outside the outer Tukey fences",
     "Something else disturbed these runs: close other programs, or measure more iterations and "
     "use medians.",
     AGAIN_WARM, pw_judge_run_warning, 0},
    {"few_runs_for_p95", PW_SUGGEST_INFO, "warnings[few_runs_for_p95]",
     "there are fewer than 20 successful runs", "Do not decide anything by p95 or p99 of so few.",
     "perfwrap -n 30 -- {command}", pw_judge_run_warning, 0},
    {"high_load", PW_SUGGEST_YELLOW, "warnings[high_load]",
     "the load before the run was higher than the number of CPUs",
     "Other programs compete for the CPUs: measure on a quiet machine.", AGAIN_WARM,
     pw_judge_run_warning, 0},

    {"collection_cost", PW_SUGGEST_YELLOW,
     "worker_step_timings_ms.communicate, parse_stats, worker_latency_ms",
     "reading a worker's output and telemetry took at least {collect_pct} of its duration, of at "
     "least {least_ms}",
     "It says much: let it print and report less, or use --output null.",
     "perfwrap --output null -- {command}", pw_judge_collection, 0},
    {"observer_overhead", PW_SUGGEST_YELLOW,
     "worker_step_timings_ms.monitor_loop, worker_latency_ms",
     "observing a worker took at least {observe_pct} of its duration, of at least {least_ms}",
     "Observe less often, or with fewer probes.", "perfwrap --probe-interval-ms 200 -- {command}",
     pw_judge_observer, 0},
    {"sampling_stretched", PW_SUGGEST_INFO, "warnings[sampling_stretched]",
     "samples came later than asked for, to keep the observer's CPU budget",
     "Short peaks may be missing: give the sampler more, or believe peaks less.",
     "perfwrap --probe-budget-pct 5 -- {command}", pw_judge_run_warning, 0},
    {"missed_exits", PW_SUGGEST_INFO, "warnings[missed_exits]",
     "short-lived processes ended before their first sample",
     "Peaks of memory and CPU may lack them; sums of CPU time do not.",
     "perfwrap --probe-interval-ms 5 --probe-budget-pct 5 -- {command}", pw_judge_run_warning, 0},
    {"telemetry_lost", PW_SUGGEST_YELLOW, "warnings[telemetry_lost]",
     "telemetry that was sent is not in the numbers",
     "Mostly it came too late: let the program flush before it exits, or wait longer for it.",
     "perfwrap --otel-flush-wait-ms 1000 -- {command}", pw_judge_run_warning, 0},
    {"telemetry_limits", PW_SUGGEST_INFO, "warnings[telemetry_limits]",
     "there was more telemetry than is kept",
     "Keep identifiers out of names and attributes, and sample traces.", SHOW, pw_judge_run_warning,
     0},

    {"slow_action", PW_SUGGEST_INFO, "otel_actions[].total_ms, worker_latency_ms",
     "the actions that a worker reported with the most total time make at least {action_pct} of the "
     "run time",
     "Start there: these calls, not the program around them, make the duration.", SHOW,
     pw_judge_slow_name, PW_NAMED_ACTIONS},
    {"slow_span", PW_SUGGEST_INFO, "otel_spans[].self_ms, worker_latency_ms",
     "the spans with the most time not covered by child spans make at least {span_pct} of the run "
     "time",
     "Start there; a span with much time of its own may hide steps that deserve spans.", SHOW,
     pw_judge_slow_name, PW_NAMED_SPANS},
    {"action_failures", PW_SUGGEST_YELLOW, "otel_actions[].failures",
     "actions that a worker reported failed",
     "Failed calls are often tried again, which costs time that no total shows.", SHOW,
     pw_judge_failed_name, PW_NAMED_ACTIONS},
    {"span_errors", PW_SUGGEST_YELLOW, "otel_spans[].errors", "spans ended with status ERROR",
     "Look at these operations first: errors that a program survives cost retries and timeouts.",
     SHOW, pw_judge_failed_name, PW_NAMED_SPANS},
    {"hot_frame", PW_SUGGEST_INFO, "xctrace.hotspots_top[]",
     "one frame has at least {hot_frame_pct} of the time that the CPU profile lists",
     "Optimise there first; lower --concurrency only if it is a lock.", SHOW, pw_judge_hot_frame,
     0},
};
const size_t pw_rule_count = sizeof(pw_rules) / sizeof(pw_rules[0]);
