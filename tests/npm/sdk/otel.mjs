// The OpenTelemetry SDK as a program has it: providers for metrics, traces and logs whose exporters read
// their endpoint from the environment, and which count what they hand out.
// Packages: PW_NPM_DIR/sdk, see bootstrap.
import { createRequire } from 'node:module';

const require = createRequire(`${process.env.PW_NPM_DIR}/sdk/package.json`);
const load = (name) => require(`@opentelemetry/${name}`);

export const api = load('api');
export const logsApi = load('api-logs');
export const core = load('core');
const metricsSdk = load('sdk-metrics');
const traceSdk = load('sdk-trace-base');
const logsSdk = load('sdk-logs');
export const { AggregationType } = metricsSdk;
const { resourceFromAttributes } = load('resources');
const { AggregationTemporalityPreference } = load('exporter-metrics-otlp-http');

// What the SDK exported with success, by its own account.
export const exported = {
    payloads: { metrics: 0, traces: 0, logs: 0 },
    points: {}, // by metric name
    scales: {}, // of exponential histograms: the smallest
    gauges: {}, // values, in the order they were exported
    failures: [],
};

// Calls `note` with everything that `exporter` has exported.
function counted(exporter, signal, note = () => {}) {
    const original = exporter.export.bind(exporter);
    exporter.export = (items, callback) => original(items, (result) => {
        if (result.code === core.ExportResultCode.SUCCESS) {
            exported.payloads[signal]++;
            note(items);
        } else {
            exported.failures.push(String(result.error));
        }
        callback(result);
    });
    return exporter;
}

function noteMetrics(resourceMetrics) {
    for (const { metrics } of resourceMetrics.scopeMetrics) {
        for (const { descriptor: { name }, dataPointType, dataPoints } of metrics) {
            exported.points[name] = (exported.points[name] ?? 0) + dataPoints.length;
            for (const { value } of dataPoints) {
                if (dataPointType === metricsSdk.DataPointType.EXPONENTIAL_HISTOGRAM) {
                    exported.scales[name] = Math.min(exported.scales[name] ?? value.scale, value.scale);
                } else if (dataPointType === metricsSdk.DataPointType.GAUGE) {
                    (exported.gauges[name] ??= []).push(value);
                }
            }
        }
    }
}

// encoding: 'json' or 'protobuf'; temporality: 'delta', 'cumulative', or undefined: as the environment says.
export function start({ encoding, temporality, gzip, views }) {
    const family = encoding === 'json' ? 'http' : 'proto';
    const { OTLPMetricExporter } = load(`exporter-metrics-otlp-${family}`);
    const { OTLPTraceExporter } = load(`exporter-trace-otlp-${family}`);
    const { OTLPLogExporter } = load(`exporter-logs-otlp-${family}`);
    const resource = resourceFromAttributes({ 'service.name': 'shop', 'service.version': '1.2.3' });
    const config = gzip ? { compression: 'gzip' } : {};
    const metricConfig = temporality === undefined ? config
        : { ...config, temporalityPreference: AggregationTemporalityPreference[temporality.toUpperCase()] };
    const metrics = new metricsSdk.MeterProvider({
        resource, views,
        readers: [new metricsSdk.PeriodicExportingMetricReader({
            exporter: counted(new OTLPMetricExporter(metricConfig), 'metrics', noteMetrics) })],
    });
    const traces = new traceSdk.BasicTracerProvider({
        resource,
        spanProcessors: [new traceSdk.BatchSpanProcessor(counted(new OTLPTraceExporter(config), 'traces'))],
    });
    const logs = new logsSdk.LoggerProvider({
        resource,
        processors: [new logsSdk.BatchLogRecordProcessor({
            exporter: counted(new OTLPLogExporter(config), 'logs') })],
    });
    const each = (what) => Promise.all([metrics, traces, logs].map((provider) => provider[what]()));
    return {
        meter: metrics.getMeter('shop.meter', '1.2.3'),
        tracer: traces.getTracer('shop.tracer'),
        logger: logs.getLogger('shop.logger'),
        flush: () => each('forceFlush'),
        shutdown: () => each('shutdown'),
    };
}
