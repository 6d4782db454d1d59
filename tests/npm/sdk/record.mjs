// A program that reports known values about itself with the OpenTelemetry SDK, and writes what it recorded to
// a file, so that both can be compared.
//
//   node record.mjs --out FOLDER [--encoding json|protobuf] [--temporality delta|cumulative] [--gzip]
//                   [--cycles N] [--second] [--kill]
//
// Each cycle (at most 6) records, and flushes once. --encoding: which exporters (default: as
// OTEL_EXPORTER_OTLP_PROTOCOL says); --temporality: chosen in code (default: by the environment);
// --second: after the first cycle a second process of the same resource does the same; --kill: it ends by
// SIGKILL after the last flush instead of shutting down. The record is FOLDER/ITERATION-WORKER-PID.json.
// All numbers are multiples of 1/8, so that sums are exact.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { AggregationType, api, core, exported, start } from './otel.mjs';

const { values: options } = parseArgs({ options: {
    out: { type: 'string' }, encoding: { type: 'string' }, temporality: { type: 'string' },
    cycles: { type: 'string', default: '3' }, gzip: { type: 'boolean' }, second: { type: 'boolean' },
    kill: { type: 'boolean' } } });
const environment = process.env;
const protocol = environment.OTEL_EXPORTER_OTLP_PROTOCOL ?? 'http/protobuf';
const worker = Number(environment.PERFWRAP_WORKER_ID ?? 1);
const { meter, tracer, logger, flush, shutdown } = start({
    encoding: options.encoding ?? (protocol === 'http/json' ? 'json' : 'protobuf'),
    temporality: options.temporality, gzip: options.gzip,
    views: [{ instrumentName: 'tool.*', aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM } }],
});

const bounds = [1, 2, 5, 10, 25, 50, 100];
const kinds = {
    'orders': ['counter', { unit: '{order}', valueType: api.ValueType.INT }],
    'revenue': ['counter', { unit: 'EUR' }],
    'open': ['up_down', { unit: '{order}', valueType: api.ValueType.INT }],
    'read.bytes': ['observable_counter', { unit: 'By', valueType: api.ValueType.INT }],
    'queue.depth': ['observable_up_down', { unit: '{order}', valueType: api.ValueType.INT }],
    'temperature': ['observable_gauge', { unit: 'Cel' }],
    'level': ['gauge', { unit: '1' }],
    'turn.duration': ['histogram', { unit: 'ms', advice: { explicitBucketBoundaries: bounds } }],
    'first_token.latency': ['histogram', { unit: 'ms' }], // with the SDK's own bounds
    'tool.exec.duration': ['exponential', { unit: 'ms' }],
};
const create = { counter: 'createCounter', up_down: 'createUpDownCounter', gauge: 'createGauge',
                 histogram: 'createHistogram', exponential: 'createHistogram',
                 observable_counter: 'createObservableCounter', observable_gauge: 'createObservableGauge',
                 observable_up_down: 'createObservableUpDownCounter' };
const verb = { counter: 'add', up_down: 'add', gauge: 'record', histogram: 'record', exponential: 'record' };
const recorded = { encoding: options.encoding ?? protocol, worker,
                   iteration: Number(environment.PERFWRAP_ITERATION), metrics: {},
                   spans: {}, actions: {}, log_records: 0, exported };
const instruments = {};
const observed = {}; // what observable instruments read just now
for (const [name, [kind, settings]] of Object.entries(kinds)) {
    instruments[name] = meter[create[kind]](name, settings);
    recorded.metrics[name] = { kind, unit: settings.unit, sets: {} };
    instruments[name].addCallback?.((result) => result.observe(observed[name]));
}

function record(name, value, attributes = {}) {
    const { kind, sets } = recorded.metrics[name];
    (sets[JSON.stringify(attributes)] ??= []).push(value);
    if (kind in verb) {
        instruments[name][verb[kind]](value, attributes);
    } else {
        observed[name] = value;
    }
}

function recordMetrics(cycle) {
    record('orders', worker * 10 + cycle, { route: '/a' });
    record('orders', 1, { route: '/b', 'http.status': 200 });
    if (cycle === 2) {
        record('orders', 7, { 'http.status': 500, route: '/b' });
    }
    record('revenue', cycle + 0.125);
    record('revenue', 2.5);
    record('open', 5);
    record('open', -2 - cycle);
    record('read.bytes', 1000 * (cycle + 1));
    record('queue.depth', [7, 3, 9][cycle % 3]);
    record('temperature', [20.5, -21.25, 19][cycle % 3]);
    record('level', cycle * 0.25);
    for (let i = 0; i < 40; i++) {
        record('turn.duration', ((i * 37 + cycle * 11) % 100) + 0.5, { turn: i % 2 ? 'odd' : 'even' });
        record('first_token.latency', 3 * i * (cycle + 1));
        record('tool.exec.duration', i === 0 ? 0 : (i * (cycle + 1) * worker) ** 2 / 8);
    }
}

// `from` and `to` in ms after `base`; `self` is what no child covers.
function span(name, base, from, to, { self = to - from, failed = false, parent, attributes = {} } = {}) {
    const at = (ms) => [Math.floor((base + ms) / 1000), ((base + ms) % 1000) * 1e6];
    const made = tracer.startSpan(name, { startTime: at(from), attributes }, parent ?? api.ROOT_CONTEXT);
    if (failed) {
        made.setStatus({ code: api.SpanStatusCode.ERROR, message: 'planned' });
    }
    made.end(at(to));
    const known = recorded.spans[name] ??= { ms: [], self_ms: 0, errors: 0 };
    known.ms.push(to - from);
    known.self_ms += self;
    known.errors += failed;
    return api.trace.setSpan(parent ?? api.ROOT_CONTEXT, made);
}

function noteAction(source, name, ms, failed) {
    const known = recorded.actions[name] ??= { source, ms: [], failures: 0 };
    known.ms.push(ms);
    known.failures += failed;
}

const carrier = { traceparent: environment.TRACEPARENT };
const given = new core.W3CTraceContextPropagator().extract(api.ROOT_CONTEXT, carrier, api.defaultTextMapGetter);

function recordSpans(cycle) {
    const base = Date.now();
    const ms = 20 + cycle;
    const order = span('order', base, 0, 100, { self: 50 - ms, parent: given });
    span('price', base, 10, 40, { parent: order });
    const pay = span('pay', base, 30, 60, { self: 10, failed: cycle % 2 === 1, parent: order });
    span('bank', base, 40, 75, { parent: pay }); // goes on after `pay` has ended
    span('execute_tool lookup', base, 74, 74 + ms, {
        failed: cycle === 0, parent: order, attributes: { 'gen_ai.tool.name': 'lookup' } });
    noteAction('span', 'lookup', ms, cycle === 0);
}

function recordLogs(cycle) {
    const tell = (eventName, attributes) => {
        logger.emit({ eventName, attributes, body: 'ended', severityNumber: 9, timestamp: Date.now() });
        recorded.log_records++;
    };
    const ms = 8 * (cycle + 1) + 0.5;
    tell('shop.tool_result', { tool_name: 'pack', success: 'true', duration_ms: ms });
    noteAction('log', 'pack', ms, false);
    tell('shop.tool_result', { tool_name: 'wrap', success: cycle === 0, duration_ms: '5' });
    noteAction('log', 'wrap', 5, cycle !== 0);
    tell(undefined, { 'event.name': 'shop.tool_result', tool_name: 'wrap', success: 'false', duration_ms: 6 });
    noteAction('log', 'wrap', 6, true);
    tell('shop.tool_decision', { tool_name: 'pack', decision: 'approved' }); // no end of an action
    tell(undefined, {});
}

function runSecond(cycles) {
    const { status } = spawnSync(process.execPath, [
        fileURLToPath(import.meta.url), '--cycles', String(cycles), '--out', options.out,
        ...(options.encoding ? ['--encoding', options.encoding] : []),
        ...(options.temporality ? ['--temporality', options.temporality] : []),
        ...(options.gzip ? ['--gzip'] : [])], { stdio: 'inherit' });
    if (status !== 0) {
        throw new Error(`the second process ended with ${status}`);
    }
}

const cycles = Number(options.cycles);
for (let cycle = 0; cycle < cycles; cycle++) {
    recordMetrics(cycle);
    recordSpans(cycle);
    recordLogs(cycle);
    await flush();
    if (options.second && cycle === 0) {
        runSecond(cycles + 1);
    }
}
if (!options.kill) {
    await shutdown();
}
writeFileSync(`${options.out}/${environment.PERFWRAP_ITERATION}-${worker}-${process.pid}.json`,
              JSON.stringify(recorded));
if (exported.failures.length > 0) {
    console.error(exported.failures.join('\n'));
    process.exit(1);
}
if (options.kill) {
    process.kill(process.pid, 'SIGKILL');
}
